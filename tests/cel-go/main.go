// Command cel-go answers what Google's own CEL evaluator makes of expressions, for the engine's differential test
// (crates/engine/tests/expr_cel_go.rs).
//
// It reads JSON lines {"expr": "...", "data": {...}}, declares each member of data as a variable of type dyn, and
// prints one JSON line for each, in order: see [answer].
//
// Where docs/expressions.md departs from CEL on purpose, the departure is taught to cel-go (rules.go), so that what
// is around it can still be compared; an answer that this changed names the rule.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	// The same time zones wherever the test runs.
	_ "time/tzdata"
)

// question is a line of input.
type question struct {
	Expr string         `json:"expr"`
	Data map[string]any `json:"data"`
}

// answer is a line of output: a value, or an error.
type answer struct {
	// Value as JSON, the way that the engine prints it.
	Value json.RawMessage `json:"value,omitempty"`
	// Error is "syntax", "check" (the type checker refuses it) or "eval".
	Error   string `json:"error,omitempty"`
	Message string `json:"message,omitempty"`
	// Unchecked is what evaluation makes of an expression that only the type checker refuses.
	Unchecked *answer `json:"unchecked,omitempty"`
	// Rules are those of docs/expressions.md without which cel-go would have answered otherwise.
	Rules []string `json:"rules,omitempty"`
}

// job is a question on its way through a worker; its answer takes the place that the question had.
type job struct {
	line []byte
	done chan answer
}

func main() {
	// It lives for seconds: time matters more than memory.
	debug.SetGCPercent(400)
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "cel-go:", err)
		os.Exit(1)
	}
}

// serve answers until the input ends. An answer is written at once if no further question waits, so that the
// program can be asked one question at a time as well as thousands.
func serve(in io.Reader, out io.Writer) error {
	jobs := make(chan job)
	order := make(chan chan answer, 4096)
	for range runtime.GOMAXPROCS(0) {
		go func() {
			evaluator := newEvaluator()
			for j := range jobs {
				j.done <- evaluator.answerLine(j.line)
			}
		}()
	}
	read := make(chan error, 1)
	go func() {
		defer close(order)
		defer close(jobs)
		lines := bufio.NewReaderSize(in, 1<<20)
		for {
			line, err := lines.ReadBytes('\n')
			if len(bytes.TrimSpace(line)) > 0 {
				done := make(chan answer, 1)
				order <- done
				jobs <- job{line: line, done: done}
			}
			if err != nil {
				if errors.Is(err, io.EOF) {
					err = nil
				}
				read <- err
				return
			}
		}
	}()
	buffered := bufio.NewWriterSize(out, 1<<20)
	encoder := json.NewEncoder(buffered)
	encoder.SetEscapeHTML(false)
	for done := range order {
		if err := encoder.Encode(<-done); err != nil {
			return err
		}
		if len(order) == 0 {
			if err := buffered.Flush(); err != nil {
				return err
			}
		}
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return <-read
}
