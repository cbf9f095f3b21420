package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// appendJSON prints a value as the engine does: integral doubles without a point, bytes as base64, timestamps as
// RFC 3339, durations as exact seconds, the keys of maps as strings. NaN, infinities and types have no JSON.
func appendJSON(out []byte, value ref.Val) ([]byte, error) {
	switch v := value.(type) {
	case types.Null:
		return append(out, "null"...), nil
	case types.Bool:
		return strconv.AppendBool(out, bool(v)), nil
	case types.Int:
		return strconv.AppendInt(out, int64(v), 10), nil
	case types.Uint:
		return strconv.AppendUint(out, uint64(v), 10), nil
	case types.Double:
		return appendDouble(out, float64(v))
	case types.String:
		return appendString(out, string(v))
	case types.Bytes:
		return appendString(out, base64.StdEncoding.EncodeToString(v))
	case types.Timestamp:
		return appendString(out, v.UTC().Format(time.RFC3339Nano))
	case types.Duration:
		return appendString(out, seconds(v.Duration))
	case traits.Mapper:
		return appendMap(out, v)
	case traits.Lister:
		return appendList(out, v)
	}
	return nil, fmt.Errorf("no JSON for a value of type %s", value.Type().TypeName())
}

func appendDouble(out []byte, number float64) ([]byte, error) {
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return nil, fmt.Errorf("no JSON for %v", number)
	}
	switch size := math.Abs(number); {
	case size < 1e21 && math.Trunc(number) == number:
		return strconv.AppendFloat(out, number, 'f', 0, 64), nil
	case 1e-5 <= size && size < 1e21:
		return strconv.AppendFloat(out, number, 'f', -1, 64), nil
	}
	// Go pads the exponent to two digits.
	text := strconv.FormatFloat(number, 'e', -1, 64)
	return append(out, strings.Replace(text, "e-0", "e-", 1)...), nil
}

func appendString(out []byte, text string) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(text)
	return append(out, bytes.TrimRight(buffer.Bytes(), "\n")...), err
}

func seconds(span time.Duration) string {
	nanos := uint64(span)
	sign := ""
	if span < 0 {
		nanos, sign = -nanos, "-"
	}
	text := fmt.Sprintf("%s%d.%09d", sign, nanos/1e9, nanos%1e9)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".") + "s"
}

func appendList(out []byte, list traits.Lister) ([]byte, error) {
	var err error
	out = append(out, '[')
	for it, first := list.Iterator(), true; it.HasNext() == types.True; first = false {
		if !first {
			out = append(out, ',')
		}
		if out, err = appendJSON(out, it.Next()); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}

func appendMap(out []byte, m traits.Mapper) ([]byte, error) {
	out = append(out, '{')
	for it, first := m.Iterator(), true; it.HasNext() == types.True; first = false {
		if !first {
			out = append(out, ',')
		}
		key := it.Next()
		name := []byte(nil)
		if text, ok := key.(types.String); ok {
			name = []byte(text)
		} else {
			var err error
			if name, err = appendJSON(nil, key); err != nil {
				return nil, err
			}
		}
		var err error
		if out, err = appendString(out, string(name)); err != nil {
			return nil, err
		}
		out = append(out, ':')
		if out, err = appendJSON(out, m.Get(key)); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}
