package main

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// Functions that source can't spell: mapFunction makes a map of a list of keys and a list of values, keyFunction
// gives back what can be a key, rangeFunction what a macro can walk, inFunction is the operator in, and mapInsert is
// cel-go's, behind transformMapEntry.
const (
	inFunction    = "@inside"
	mapFunction   = "@map"
	keyFunction   = "@key"
	rangeFunction = "@range"
	mapInsert     = "cel.@mapInsert"
)

// maps is the rule, and CEL's own, that a map's keys are bools, ints, uints and strings, each once. cel-go takes any
// keys that it can hash, and the last of those that are equal: {1: 'a', 1u: 'b'} has one entry there.
func (r *rules) maps() []cel.EnvOption {
	key, value := cel.TypeParamType("K"), cel.TypeParamType("V")
	return []cel.EnvOption{
		cel.Function(mapFunction, cel.Overload(mapFunction, []*cel.Type{cel.ListType(key), cel.ListType(value)},
			cel.MapType(key, value), cel.BinaryBinding(r.newMap))),
		cel.Function(keyFunction, cel.Overload(keyFunction, []*cel.Type{key}, key, cel.UnaryBinding(r.key))),
		cel.Function(rangeFunction, cel.Overload(rangeFunction, []*cel.Type{key}, key, cel.UnaryBinding(r.walkable))),
		cel.Function(inFunction,
			cel.Overload(inFunction+"_list", []*cel.Type{key, cel.ListType(key)}, cel.BoolType),
			cel.Overload(inFunction+"_map", []*cel.Type{key, cel.MapType(key, value)}, cel.BoolType),
			cel.SingletonBinaryBinding(r.in)),
	}
}

func (r *rules) key(key ref.Val) ref.Val {
	switch key.(type) {
	case types.Bool, types.Int, types.Uint, types.String:
		return key
	}
	r.strictKeys = true
	return types.NewErr("a %s is no key", key.Type())
}

// in is the rule that what is no key is in no map. It is cel-go's too, except for bytes, which it can't hash.
func (r *rules) in(item, container ref.Val) ref.Val {
	if _, isMap := container.(traits.Mapper); isMap && item.Type() == types.BytesType {
		r.bytesInMap = true
		return types.False
	}
	if !container.Type().HasTrait(traits.ContainerType) {
		return types.MaybeNoSuchOverloadErr(container)
	}
	return container.(traits.Container).Contains(item)
}

// walkable is the rule, and CEL's own, that macros walk lists and maps. cel-go lets anything pass whose size is 0: an
// empty string has no element for which a condition is false. And a macro walks a map in the order in which it was
// written; data has its keys sorted.
func (r *rules) walkable(value ref.Val) ref.Val {
	switch value := value.(type) {
	case traits.Lister:
		return value
	case traits.Mapper:
		return sortedMap{value}
	}
	r.strictRange = true
	return types.NewErr("a macro over a %s", value.Type())
}

func (r *rules) newMap(keys, values ref.Val) ref.Val {
	entries := map[ref.Val]ref.Val{}
	var made ref.Val = types.NewRefValMap(types.DefaultTypeAdapter, entries)
	at := types.Int(0)
	for it := keys.(traits.Lister).Iterator(); it.HasNext() == types.True; at++ {
		key := r.key(it.Next())
		if types.IsError(key) {
			return key
		}
		if _, there := made.(traits.Mapper).Find(key); there {
			r.strictKeys = true
			return types.NewErr("the key %v is there twice", key)
		}
		entries[key] = values.(traits.Lister).Get(at)
		made = types.NewRefValMap(types.DefaultTypeAdapter, entries)
	}
	return made
}

// rewrite puts the rules for maps and ranges, and what makes up for a mistake of cel-go's, into an expression.
func rewrite(parsed *cel.Ast) {
	tree := parsed.NativeRep()
	ids := ast.MaxID(tree)
	next := func() int64 { ids++; return ids }
	factory := ast.NewExprFactory()
	ast.PostOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.MapKind:
			if e.AsMap().Size() == 0 {
				return
			}
			var keys, values []ast.Expr
			for _, entry := range e.AsMap().Entries() {
				keys, values = append(keys, entry.AsMapEntry().Key()), append(values, entry.AsMapEntry().Value())
			}
			e.SetKindCase(factory.NewCall(e.ID(), mapFunction,
				factory.NewList(next(), keys, nil), factory.NewList(next(), values, nil)))
		case ast.ComprehensionKind:
			c := e.AsComprehension()
			if c.IterRange().Kind() == ast.ListKind {
				return
			}
			e.SetKindCase(factory.NewComprehensionTwoVar(e.ID(), factory.NewCall(next(), rangeFunction, c.IterRange()),
				c.IterVar(), c.IterVar2(), c.AccuVar(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()))
		case ast.CallKind:
			args := e.AsCall().Args()
			switch {
			case e.AsCall().FunctionName() == operators.In:
				e.SetKindCase(factory.NewCall(e.ID(), inFunction, args...))
			case e.AsCall().FunctionName() == mapInsert && len(args) == 3:
				key := factory.NewCall(next(), keyFunction, args[1])
				e.SetKindCase(factory.NewCall(e.ID(), mapInsert, args[0], key, args[2]))
			case e.AsCall().FunctionName() == operators.Index:
				// cel-go 0.33 finds no overload for string(a["i"]) and math.least([a.l[0], 1u]), though it does where a
				// name stands for what is there.
				index := factory.NewCall(next(), operators.Index, args...)
				e.SetKindCase(factory.NewCall(e.ID(), overloads.TypeConvertDyn, index))
			case e.AsCall().FunctionName() == overloads.TypeConvertType:
				// cel-go 0.33 takes a variable that holds a type for the name of one: cel.bind(x, type(1), x == int).
				kind := factory.NewCall(next(), overloads.TypeConvertType, args...)
				e.SetKindCase(factory.NewCall(e.ID(), overloads.TypeConvertDyn, kind))
			}
		}
	}))
}

// sortedMap is a map that macros walk in the order of its keys.
type sortedMap struct{ traits.Mapper }

// Iterator implements traits.Iterable.
func (m sortedMap) Iterator() traits.Iterator {
	var keys []ref.Val
	for it := m.Mapper.Iterator(); it.HasNext() == types.True; {
		keys = append(keys, it.Next())
	}
	slices.SortFunc(keys, func(a, b ref.Val) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return types.DefaultTypeAdapter.NativeToValue(keys).(traits.Lister).Iterator()
}
