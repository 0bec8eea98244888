package evidence_test

import (
	"go/build"
	"slices"
	"testing"
)

// Purity is a promise to both callers, so it is checked: a new import must be
// argued for here.
func TestImportsNeitherClockNorIO(t *testing.T) {
	t.Parallel()
	pure := []string{"cmp", "encoding/json", "errors", "fmt", "math", "slices", "strconv", "strings"}
	pkg, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, imported := range pkg.Imports {
		if !slices.Contains(pure, imported) {
			t.Errorf("imports %s", imported)
		}
	}
}
