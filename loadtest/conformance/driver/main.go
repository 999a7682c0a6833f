// The reference: OPA itself, answering a line of JSON with a line of JSON.
//
// A request holds modules, base documents, queries and inputs; the answer holds for each input and each query
// a value, nothing (undefined), or an error's code and message. A policy that does not compile has one error.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/util"
)

type request struct {
	Modules map[string]string `json:"modules"`
	Data    map[string]any    `json:"data"`
	Queries []string          `json:"queries"`
	Inputs  []any             `json:"inputs"`
	Strict  bool              `json:"strict"`
}

type answer struct {
	Value   any    `json:"value"`
	Defined bool   `json:"defined"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

type response struct {
	Error   string     `json:"error,omitempty"`
	Code    string     `json:"code,omitempty"`
	Answers [][]answer `json:"answers,omitempty"` // by input, then by query
}

// limit is more than any of the generated policies needs; one that needs more is a finding of its own.
const limit = 5 * time.Second

func main() {
	reader := bufio.NewScanner(os.Stdin)
	reader.Buffer(make([]byte, 1<<20), 1<<28)
	writer := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(writer)
	encoder.SetEscapeHTML(false)
	for reader.Scan() {
		var asked request
		if err := util.UnmarshalJSON(reader.Bytes(), &asked); err != nil {
			panic(err)
		}
		if err := encoder.Encode(respond(asked)); err != nil {
			panic(err)
		}
		writer.Flush()
	}
}

func respond(asked request) response {
	compiler, err := ast.CompileModules(asked.Modules)
	if err != nil {
		return response{Error: err.Error(), Code: codeOf(err)}
	}
	if asked.Data == nil {
		asked.Data = map[string]any{}
	}
	store := inmem.NewFromObject(asked.Data)
	prepared := make([]rego.PreparedEvalQuery, len(asked.Queries))
	for i, text := range asked.Queries {
		query := rego.New(rego.Query(text), rego.Compiler(compiler), rego.Store(store),
			rego.StrictBuiltinErrors(asked.Strict))
		if prepared[i], err = query.PrepareForEval(context.Background()); err != nil {
			return response{Error: err.Error(), Code: codeOf(err)}
		}
	}
	answers := make([][]answer, len(asked.Inputs))
	for i, input := range asked.Inputs {
		for _, query := range prepared {
			answers[i] = append(answers[i], evaluate(query, input))
		}
	}
	return response{Answers: answers}
}

func evaluate(query rego.PreparedEvalQuery, input any) (result answer) {
	defer func() {
		if recover() != nil {
			result = answer{Code: "panic", Message: "OPA crashed"}
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	results, err := query.Eval(ctx, rego.EvalInput(input))
	if err != nil {
		return answer{Code: codeOf(err), Message: err.Error()}
	}
	if len(results) == 0 {
		return answer{}
	}
	// OPA keeps numbers such as "5." as they were written, and then cannot print them.
	text, err := json.Marshal(results[0].Expressions[0].Value)
	if err != nil {
		return answer{Code: "unprintable", Message: err.Error()}
	}
	return answer{Value: json.RawMessage(text), Defined: true}
}

func codeOf(err error) string {
	var many ast.Errors
	if errors.As(err, &many) && len(many) > 0 {
		return many[0].Code
	}
	var one *topdown.Error
	if errors.As(err, &one) {
		return one.Code
	}
	return "error"
}
