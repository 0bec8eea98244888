package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"go.yaml.in/yaml/v3"
	"golang.org/x/term"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// outputs are what -o takes.
func outputs() []string { return []string{"json", "yaml", "table"} }

func (a *app) checkOutput() error {
	if !slices.Contains(outputs(), a.output) {
		return usage("-o takes json, yaml or table, not %q", a.output)
	}
	return nil
}

// print writes a message as JSON or YAML, or calls table to draw it for people.
func (a *app) print(message proto.Message, table func(w io.Writer)) error {
	if a.output == "table" {
		table(a.out)
		return nil
	}
	encoded, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	return a.printJSON(encoded)
}

// printValue is print for what is no message of the schema.
func (a *app) printValue(value any, table func(w io.Writer)) error {
	if a.output == "table" {
		table(a.out)
		return nil
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	return a.printJSON(encoded)
}

// printJSON writes JSON, indented, or the same as YAML with the fields in the same order.
func (a *app) printJSON(encoded []byte) error {
	var out bytes.Buffer
	if a.output == "yaml" {
		var node yaml.Node
		if err := yaml.Unmarshal(encoded, &node); err != nil { // JSON is YAML
			return fmt.Errorf("encoding the answer: %w", err)
		}
		block(&node)
		encoder := yaml.NewEncoder(&out)
		encoder.SetIndent(2)
		if err := encoder.Encode(&node); err != nil {
			return fmt.Errorf("encoding the answer: %w", err)
		}
	} else {
		if err := json.Indent(&out, encoded, "", "  "); err != nil {
			return fmt.Errorf("encoding the answer: %w", err)
		}
		out.WriteByte('\n')
	}
	_, err := a.out.Write(out.Bytes())
	return err
}

// block drops the braces and quotes that JSON had; the encoder puts back those that are needed.
func block(node *yaml.Node) {
	node.Style = 0
	for _, child := range node.Content {
		block(child)
	}
}

// table draws columns. Rows are cells joined as they come; an empty cell is a dash.
func table(w io.Writer, header []string, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, strings.Join(header, "\t"))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			if cells[i] = printable(cell); cells[i] == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	_ = t.Flush() // a broken pipe ends the program by itself
}

// printable keeps what others wrote from steering the terminal or breaking the table.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

// style draws in colour, if the stream is a terminal that wants it.
type style struct{ on bool }

func (a *app) style(w io.Writer) style {
	return style{on: isTerminal(w) && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb"}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// width is how many columns the terminal has.
func width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 20 {
			return columns
		}
	}
	return 100
}

func (s style) paint(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) green(text string) string  { return s.paint("32", text) }
func (s style) red(text string) string    { return s.paint("31", text) }
func (s style) yellow(text string) string { return s.paint("33", text) }
func (s style) bold(text string) string   { return s.paint("1", text) }
func (s style) dim(text string) string    { return s.paint("2", text) }

// count is a number with its noun: "1 route", "2 routes".
func count[N ~int | ~int32 | ~int64](n N, noun string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
