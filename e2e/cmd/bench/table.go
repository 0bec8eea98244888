package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table is some rows under a title, for people.
type table struct {
	title  string
	header []string
	rows   [][]string
	notes  []string
	prose  bool // cells are words, not figures
}

// print prints results as the options say.
func (o *options) print(w io.Writer, r *results) error {
	switch o.Output {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	case "markdown":
		fmt.Fprintln(w, strings.ReplaceAll(r.heading(), "\n", "\n\n"))
		for _, t := range r.tables() {
			t.markdown(w)
		}
	default:
		fmt.Fprintln(w, r.heading())
		for _, t := range r.tables() {
			t.plain(w)
		}
	}
	return nil
}

func (t table) plain(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n", t.title)
	widths := make([]int, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range append([][]string{t.header}, t.rows...) {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 || t.prose {
				line.WriteString("  " + cell + pad)
			} else {
				line.WriteString("  " + pad + cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
	for _, note := range t.notes {
		fmt.Fprintln(w, "  "+note)
	}
}

func (t table) markdown(w io.Writer) {
	column := map[bool]string{true: "|---", false: "|---:"}[t.prose]
	fmt.Fprintf(w, "\n### %s\n\n| %s |\n|---%s|\n", t.title, strings.Join(t.header, " | "), strings.Repeat(column, len(t.header)-1))
	for _, row := range t.rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
	for i, note := range t.notes {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, note+"  ")
	}
}

// heading says when and where.
func (r *results) heading() string {
	m := r.Machine
	var versions []string
	for _, name := range sortedKeys(r.Versions) {
		versions = append(versions, name+" "+r.Versions[name])
	}
	text := fmt.Sprintf("%s, %s on %d × %s, kernel %s, %.0f min; load average before %s, after %s\n%s",
		r.Time.Format("2006-01-02 15:04 MST"), m.System, m.Processors, m.Processor, m.Kernel, r.Seconds/60, m.LoadBefore, m.LoadAfter,
		strings.Join(versions, ", "))
	if noise := r.noise(); noise != "" {
		text += "\n" + noise
	}
	text += fmt.Sprintf("\nPrograms that are not of this run had %.0f %% of the processors, other machines on the host %.1f %%.", 100*m.Others, 100*m.Stolen)
	if !m.LoadRunsFirst {
		text += " The load had no right to run first, so latencies hold what it waited for."
	}
	if m.Others+m.Stolen > quiet {
		text += " That is not quiet: read ratios of processor time, and these with care."
	}
	return text
}
