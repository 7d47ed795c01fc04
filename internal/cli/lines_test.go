package cli

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

// jsonlCommands are the commands of issue 3 that answer lines.
func jsonlCommands() map[string][]string {
	return map[string][]string{
		"validate": {"validate", "--jsonl"}, "match": {"match", "--jsonl"},
		"stix id": {"stix", "id", "--jsonl"}, "stix normalize": {"stix", "normalize", "--jsonl"},
	}
}

func TestEveryLineHasOneAnswer(t *testing.T) {
	const pattern = `{"pattern":"[a:b = 1]","observations":[]}`
	for name, lines := range map[string][]string{
		"none":              {},
		"empty lines":       {"", "", " ", "\t", "\r"},
		"no JSON":           {"{", "\x00", "\xff\xfe", `{"a":1}{"a":2}`, "null", "[]", "\"x\"", strings.Repeat("[", 10_000)},
		"one after another": {pattern, "", pattern + "\r", "{}", pattern},
		"a long line":       {pattern, `"` + strings.Repeat("x", 2<<20) + `"`, pattern},
		"a line too long":   {pattern, strings.Repeat(" ", maxLine) + pattern, pattern},
	} {
		for command, args := range jsonlCommands() {
			t.Run(command+" "+name, func(t *testing.T) {
				in := strings.Join(lines, "\n") // the last line without its end
				if len(lines) > 0 && lines[len(lines)-1] == "" {
					in += "\n"
				}
				code, out, errs := call{stdin: in}.run(t, args...)
				if code != ExitDone || errs != "" || strings.Count(out, "\n") != len(lines) {
					t.Fatalf("%s of %d lines = %d, %d lines, %q, want 0 and an answer to each", command, len(lines), code, strings.Count(out, "\n"), errs)
				}
				for line := range strings.Lines(out) {
					if !json.Valid([]byte(line)) || len(line) > 1000 {
						t.Errorf("%s answered %.200q, want a short JSON text", command, line)
					}
				}
			})
		}
	}
}

// TestAnswersAreAsPromised compares the answers' properties with the contracts,
// by name and JSON type.
func TestAnswersAreAsPromised(t *testing.T) {
	for name, c := range map[string]struct {
		command  string
		in, want string
	}{
		"valid":          {"validate", `{"type":"domain-name","spec_version":"2.1","id":"domain-name--bedb4899-d24b-5401-bc86-8f6b4cc18ec7","value":"example.com"}`, `{"errors":[],"valid":true,"warnings":[]}`},
		"invalid":        {"validate", `{"type":"domain-name","spec_version":"2.1","id":"domain-name--bedb4899-d24b-4401-bc86-8f6b4cc18ec7"}`, `{"errors":[{"at":"/value","clause":"STIX 2.1 §6.4.1","message":"the required property value is missing","object":"domain-name--bedb4899-d24b-4401-bc86-8f6b4cc18ec7"}],"valid":false,"warnings":[]}`},
		"match":          {"match", `{"pattern":"[url:value = 'a']","observations":[{"type":"observed-data","id":"observed-data--1","first_observed":"2026-01-01T00:00:00Z","last_observed":"2026-01-01T00:00:00Z","number_observed":1,"objects":{"0":{"type":"url","value":"a"}}}]}`, `{"match":true,"observed_ids":["observed-data--1"]}`},
		"no match":       {"match", `{"pattern":"[url:value = 'a']","observations":[]}`, `{"match":false,"observed_ids":[]}`},
		"not evaluable":  {"match", `{"pattern":"[url:value MATCHES '(?=a)']","observations":[]}`, `{"match":null,"observed_ids":[],"error":"pattern: the pattern has a regular expression that cannot be evaluated"}`},
		"not parsable":   {"match", `{"pattern":"[","observations":[]}`, `{"match":null,"observed_ids":[],"error":"pattern: line 1, column 2: expected an object type, found the end of the pattern (STIX 2.1 §9.7)"}`},
		"id":             {"stix id", `{"type":"domain-name","value":"example.com"}`, `{"id":"domain-name--bedb4899-d24b-5401-bc86-8f6b4cc18ec7"}`},
		"normal":         {"stix normalize", `{"pattern":"[ url:value='a' ]"}`, `{"normal":"[url:value = 'a']","atoms":[{"type":"url","property":"value","operator":"=","value":"a"}]}`},
		"normal of none": {"stix normalize", `{"pattern":"[url:value='a'"}`, `{"normal":null,"error":{"message":"expected AND, OR or a closing square bracket, found the end of the pattern","line":1,"column":15,"clause":"STIX 2.1 §9.5"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, out, _ := (call{stdin: c.in}).run(t, jsonlCommands()[c.command]...); out != c.want+"\n" {
				t.Errorf("%s --jsonl of %s = %s, want %s", c.command, c.in, out, c.want)
			}
		})
	}
}

// TestAnAnswerComesBeforeTheNextQuestion hangs when answers wait for more
// lines.
func TestAnAnswerComesBeforeTheNextQuestion(t *testing.T) {
	for command, args := range jsonlCommands() {
		t.Run(command, func(t *testing.T) {
			questions, ask := io.Pipe()
			answers, answer := io.Pipe()
			done := make(chan int)
			go func() {
				code := Main(t.Context(), Env{Args: args, Stdin: questions, Stdout: answer, Stderr: io.Discard, Getenv: func(string) string { return "" }})
				_ = answer.Close()
				done <- code
			}()
			read := bufio.NewReader(answers)
			for _, line := range []string{"{}\n", "\n", `{"pattern":"[a:b = 1]"}` + "\n"} {
				if _, err := io.WriteString(ask, line); err != nil {
					t.Fatal(err)
				}
				if _, err := read.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			if err := ask.Close(); err != nil {
				t.Fatal(err)
			}
			if code := <-done; code != ExitDone {
				t.Errorf("%s --jsonl = %d, want 0", command, code)
			}
		})
	}
}
