package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"tidegate.dev/controlplane/cli/declarative"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// drawDiff shows the changes of a difference, and how many there are.
func drawDiff(w io.Writer, diff *adminv1.Diff, s style) {
	for _, change := range diff.GetChanges() {
		drawChange(w, change, s)
	}
	if len(diff.GetChanges()) == 0 {
		fmt.Fprintln(w, "no change")
		return
	}
	fmt.Fprintln(w, summary(diff.GetCreated(), diff.GetUpdated(), diff.GetDeleted()))
}

// summary is "2 created, 1 updated".
func summary(created, updated, deleted int32) string {
	var parts []string
	for _, part := range []struct {
		n    int32
		word string
	}{{created, "created"}, {updated, "updated"}, {deleted, "deleted"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	if len(parts) == 0 {
		return "no change"
	}
	return strings.Join(parts, ", ")
}

func drawChange(w io.Writer, change *adminv1.ResourceChange, s style) {
	reference := printable(change.GetKind() + "/" + change.GetName())
	switch change.GetAction() {
	case "create":
		fmt.Fprintln(w, s.green("+ "+reference))
		drawResource(w, change.GetAfter(), s.green)
	case "delete":
		fmt.Fprintln(w, s.red("- "+reference))
	default:
		fmt.Fprintln(w, s.yellow("~ "+reference))
		for _, f := range change.GetFields() {
			before, after := first(printable(f.GetBefore()), "(none)"), first(printable(f.GetAfter()), "(none)")
			fmt.Fprintf(w, "    %s: %s → %s\n", printable(f.GetPath()), s.red(before), s.green(after))
		}
	}
}

// drawResource shows the fields of a new resource as a file would have them.
func drawResource(w io.Writer, r *adminv1.Resource, paint func(string) string) {
	if r == nil || declarative.Spec(r) == nil {
		return
	}
	var out bytes.Buffer
	if err := declarative.Write(&out, "", []*adminv1.Resource{r}); err != nil {
		return // its name was shown
	}
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	for _, line := range lines[min(2, len(lines)):] { // without "routes:" and "- name: …"
		fmt.Fprintln(w, paint(line))
	}
}
