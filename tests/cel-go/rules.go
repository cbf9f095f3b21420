package main

import (
	"slices"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/stdlib"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
)

// rules are the departures from CEL that docs/expressions.md documents, as far as cel-go can be taught them, and
// which of them the current question has met.
type rules struct {
	mixedArithmetic, nestedHas, plainText, strictKeys, strictRange, bytesInMap bool
}

func (r *rules) reset() {
	*r = rules{}
}

func (r *rules) used() []string {
	var used []string
	if r.mixedArithmetic {
		used = append(used, "MixedArithmetic")
	}
	if r.nestedHas {
		used = append(used, "NestedHas")
	}
	if r.strictKeys {
		used = append(used, "StrictKeys")
	}
	if r.strictRange {
		used = append(used, "StrictRange")
	}
	if r.bytesInMap {
		used = append(used, "BytesInMap")
	}
	if r.plainText {
		used = append(used, "PlainText")
	}
	return used
}

// standard is CEL with the extensions that the engine has, as cel-go has it.
func standard() []cel.EnvOption {
	return append([]cel.EnvOption{cel.StdLib()}, extensions()...)
}

func extensions() []cel.EnvOption {
	return []cel.EnvOption{
		ext.Strings(), ext.Math(), ext.Bindings(), ext.TwoVarComprehensions(),
		cel.EnableIdentifierEscapeSyntax(), cel.CrossTypeNumericComparisons(true), cel.DefaultUTCTimeZone(true),
		cel.EnableHiddenAccumulatorName(true),
	}
}

// options are standard's with the rules.
func (r *rules) options() []cel.EnvOption {
	arithmetic := map[string]func(a, b ref.Val) ref.Val{
		operators.Add:      func(a, b ref.Val) ref.Val { return a.(traits.Adder).Add(b) },
		operators.Subtract: func(a, b ref.Val) ref.Val { return a.(traits.Subtractor).Subtract(b) },
		operators.Multiply: func(a, b ref.Val) ref.Val { return a.(traits.Multiplier).Multiply(b) },
		operators.Divide:   func(a, b ref.Val) ref.Val { return a.(traits.Divider).Divide(b) },
	}
	subset := &env.LibrarySubset{ExcludeMacros: []string{operators.Has}}
	options := []cel.EnvOption{}
	for _, function := range stdlib.Functions() {
		if function.Name() == overloads.TypeConvertString {
			subset.ExcludeFunctions = append(subset.ExcludeFunctions, env.NewFunction(function.Name()))
			options = append(options, r.text(function))
			continue
		}
		calculate, ok := arithmetic[function.Name()]
		if !ok {
			continue
		}
		subset.ExcludeFunctions = append(subset.ExcludeFunctions, env.NewFunction(function.Name()))
		options = append(options, r.mixed(function, calculate))
	}
	options = append(options, cel.StdLib(cel.StdLibSubset(subset)), cel.Macros(r.has()))
	return slices.Concat(options, r.maps(), extensions())
}

// mixed is the rule that int and uint meet double as doubles: every number in a message is one, and `x + 1` is what
// people write.
func (r *rules) mixed(function *decls.FunctionDecl, calculate func(a, b ref.Val) ref.Val) cel.EnvOption {
	var options []cel.FunctionOpt
	for _, overload := range function.OverloadDecls() {
		options = append(options, cel.Overload(overload.ID(), overload.ArgTypes(), overload.ResultType()))
	}
	for _, integer := range []*cel.Type{cel.IntType, cel.UintType} {
		for _, args := range [][]*cel.Type{{integer, cel.DoubleType}, {cel.DoubleType, integer}} {
			id := function.Name() + args[0].TypeName() + "_" + args[1].TypeName()
			options = append(options, cel.Overload(id, args, cel.DoubleType))
		}
	}
	options = append(options, cel.SingletonBinaryBinding(func(a, b ref.Val) ref.Val {
		_, left := a.(types.Double)
		_, right := b.(types.Double)
		if left != right {
			x, y := toDouble(a), toDouble(b)
			if x != nil && y != nil {
				r.mixedArithmetic = true
				return calculate(x, y)
			}
		}
		// What has no such operator is an error below, as it is where cel-go looks at traits.
		if !a.Type().HasTrait(trait[function.Name()]) {
			return types.MaybeNoSuchOverloadErr(a)
		}
		return calculate(a, b)
	}))
	return cel.Function(function.Name(), options...)
}

var trait = map[string]int{
	operators.Add: traits.AdderType, operators.Subtract: traits.SubtractorType,
	operators.Multiply: traits.MultiplierType, operators.Divide: traits.DividerType,
}

func toDouble(value ref.Val) ref.Val {
	switch value.(type) {
	case types.Int, types.Uint, types.Double:
		return value.ConvertToType(types.DoubleType)
	}
	return nil
}

// has is the rule that has(a.b.c) is false, and no error, where a has no b or is no map: messages differ.
func (r *rules) has() cel.Macro {
	return cel.GlobalMacro(operators.Has, 1, func(factory cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
		if !isSelect(args[0]) {
			return nil, factory.NewError(args[0].ID(), "invalid argument to has() macro")
		}
		var tests []ast.Expr
		at := args[0]
		for operand, name, ok := member(at); ok; operand, name, ok = member(at) {
			isMap := factory.NewCall(operators.Equals,
				factory.NewCall(overloads.TypeConvertType, factory.Copy(operand)), factory.NewIdent(types.MapType.TypeName()))
			tests = append(tests, factory.NewPresenceTest(factory.Copy(operand), name), isMap)
			at = operand
		}
		r.nestedHas = true
		// From the inside out: each test makes the next one possible.
		test := tests[len(tests)-1]
		for i := len(tests) - 2; i >= 0; i-- {
			test = factory.NewCall(operators.Conditional, test, tests[i], factory.NewLiteral(types.False))
		}
		return test, nil
	})
}

// member takes a.b or a["b"] apart.
func member(e ast.Expr) (operand ast.Expr, name string, ok bool) {
	if isSelect(e) {
		return e.AsSelect().Operand(), e.AsSelect().FieldName(), true
	}
	if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.Index {
		if index := e.AsCall().Args()[1]; index.Kind() == ast.LiteralKind {
			name, ok := index.AsLiteral().(types.String)
			return e.AsCall().Args()[0], string(name), ok
		}
	}
	return nil, "", false
}

// text is the rule that string(x) of a double, a duration or a timestamp is what JSON output has for it:
// string(1000000.0) is "1000000", not "1e+06". Identifiers in messages are doubles, and are put into text.
func (r *rules) text(function *decls.FunctionDecl) cel.EnvOption {
	var options []cel.FunctionOpt
	for _, overload := range function.OverloadDecls() {
		options = append(options, cel.Overload(overload.ID(), overload.ArgTypes(), overload.ResultType(),
			cel.UnaryBinding(func(value ref.Val) ref.Val {
				switch value := value.(type) {
				case types.Double:
					r.plainText = true
					if text, err := appendDouble(nil, float64(value)); err == nil {
						return types.String(text)
					}
				case types.Duration:
					r.plainText = true
					return types.String(seconds(value.Duration))
				case types.Timestamp:
					r.plainText = true
					return types.String(value.UTC().Format(time.RFC3339Nano))
				}
				return value.ConvertToType(types.StringType)
			})))
	}
	return cel.Function(function.Name(), options...)
}
