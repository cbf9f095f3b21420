//! Whose session a message belongs to: asked when it goes into its window, as a session is that of one key.

use crate::aggregate;
use crate::expr::{Context, EvalError, Expr, Program};
use crate::layout::Layout;

/// By input, what its messages' sessions are told apart by. Without any there is one session for all.
#[derive(Clone, Debug, Default)]
pub(super) struct SessionKey(Vec<Vec<Program>>);

/// Expressions over one input each that have to be equal in every row.
struct Class(Vec<Expr>);

impl SessionKey {
    /// What the equalities of a condition tell the messages of all inputs apart by: those that can be in no row
    /// together need no session together.
    pub(super) fn of_join<'e>(conjuncts: impl Iterator<Item = &'e Expr>, layouts: &[&Layout]) -> SessionKey {
        let mut classes: Vec<Class> = Vec::new();
        for sides in conjuncts.filter_map(Expr::as_equality) {
            let sides = [sides.0, sides.1];
            if sides.iter().any(|side| side.inputs().len() != 1) {
                continue;
            }
            let mut class = Class(Vec::new());
            classes.retain_mut(|other| {
                let touches = sides.iter().any(|side| other.has(side));
                if touches {
                    class.0.append(&mut other.0);
                }
                !touches
            });
            class.0.extend(sides);
            classes.push(class);
        }
        let of = |input: usize, class: &Class| {
            let mut own = class.0.iter().filter(|expr| expr.inputs().contains(input));
            own.next().map(|expr| expr.bind(layouts))
        };
        let of_all = |class: &Class| {
            (0..layouts.len())
                .map(|input| of(input, class))
                .collect::<Option<Vec<_>>>()
        };
        let mut keys = vec![Vec::new(); layouts.len()];
        for class in classes.iter().filter_map(of_all) {
            for (key, program) in keys.iter_mut().zip(class) {
                key.push(program);
            }
        }
        SessionKey(keys)
    }

    /// The key of an input's message, whose row `cx` has.
    pub(super) fn eval(&self, input: usize, cx: &Context<'_>) -> Result<Vec<u8>, EvalError> {
        let mut key = Vec::new();
        for program in self.0.get(input).into_iter().flatten() {
            aggregate::write_key(&program.eval(cx)?, &mut key)?;
        }
        Ok(key)
    }
}

impl Class {
    fn has(&self, side: &Expr) -> bool {
        let same = |expr: &Expr| expr.source() == side.source() && expr.inputs() == side.inputs();
        self.0.iter().any(same)
    }
}
