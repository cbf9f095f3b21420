package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
)

// evaluator answers questions, one at a time.
type evaluator struct {
	rules *rules
	// With the rules of docs/expressions.md, and as cel-go is.
	ours, plain dialect
}

// dialect is cel-go with some options. Environments are costly to make, so it keeps one for each set of variables.
type dialect struct {
	options []cel.EnvOption
	rewrite func(*cel.Ast)
	envs    map[string]*cel.Env
}

func newEvaluator() *evaluator {
	r := &rules{}
	return &evaluator{
		rules: r,
		ours:  dialect{options: r.options(), rewrite: rewrite, envs: map[string]*cel.Env{}},
		plain: dialect{options: standard(), rewrite: func(*cel.Ast) {}, envs: map[string]*cel.Env{}},
	}
}

func (e *evaluator) answerLine(line []byte) answer {
	var q question
	if err := json.Unmarshal(line, &q); err != nil {
		return answer{Error: "input", Message: err.Error()}
	}
	e.rules.reset()
	a := e.ours.answer(q)
	used := e.rules.used()
	if len(used) > 0 && !same(a, e.plain.answer(q)) {
		a.Rules = used
	}
	return a
}

// same tells whether two answers are the same but for their words.
func same(a, b answer) bool {
	return a.Error == b.Error && string(a.Value) == string(b.Value)
}

func (d dialect) answer(q question) (a answer) {
	defer func() {
		if panicked := recover(); panicked != nil {
			a = answer{Error: "panic", Message: fmt.Sprint(panicked)}
		}
	}()
	names := slices.Sorted(maps.Keys(q.Data))
	key := strings.Join(names, " ")
	env, ok := d.envs[key]
	if !ok {
		options := slices.Clone(d.options)
		for _, name := range names {
			options = append(options, cel.Variable(name, cel.DynType))
		}
		var err error
		if env, err = cel.NewCustomEnv(options...); err != nil {
			return answer{Error: "input", Message: err.Error()}
		}
		d.envs[key] = env
	}
	parsed, issues := env.Parse(q.Expr)
	if issues.Err() != nil {
		// The macros of extensions check types, and say so while they are parsed.
		kind := "syntax"
		if message := issues.Err().Error(); strings.Contains(message, ": math.") {
			kind = "check"
		}
		return answer{Error: kind, Message: issues.Err().Error()}
	}
	d.rewrite(parsed)
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		unchecked := run(env, parsed, q.Data)
		return answer{Error: "check", Message: issues.Err().Error(), Unchecked: &unchecked}
	}
	return run(env, checked, q.Data)
}

func run(env *cel.Env, tree *cel.Ast, data map[string]any) answer {
	program, err := env.Program(tree)
	if err != nil {
		return answer{Error: "eval", Message: err.Error()}
	}
	value, _, err := program.Eval(data)
	if err != nil {
		return answer{Error: "eval", Message: err.Error()}
	}
	text, err := appendJSON(nil, value)
	if err != nil {
		return answer{Error: "eval", Message: err.Error()}
	}
	return answer{Value: text}
}

// isSelect tells a.b from other expressions; has(a.b) is not one.
func isSelect(e ast.Expr) bool {
	return e.Kind() == ast.SelectKind && !e.AsSelect().IsTestOnly()
}
