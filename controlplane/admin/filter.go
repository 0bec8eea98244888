package admin

import (
	"fmt"
	"slices"
	"strings"
)

// parseFilter reads "a=b AND c=d" with the fields that a list knows.
func parseFilter(filter string, known ...string) (map[string]string, error) {
	terms := make(map[string]string)
	if strings.TrimSpace(filter) == "" {
		return terms, nil
	}
	for term := range strings.SplitSeq(filter, " AND ") {
		field, value, ok := strings.Cut(strings.TrimSpace(term), "=")
		field, value = strings.TrimSpace(field), strings.Trim(strings.TrimSpace(value), `"`)
		switch {
		case !ok || value == "":
			return nil, invalidField("filter", "filter.syntax", fmt.Sprintf("cannot read %q; write field=value, joined by \" AND \"", term))
		case !slices.Contains(known, field):
			return nil, invalidField("filter", "filter.field", fmt.Sprintf("does not know %q; there are %s", field, strings.Join(known, ", ")))
		}
		if _, twice := terms[field]; twice {
			return nil, invalidField("filter", "filter.twice", fmt.Sprintf("names %q twice", field))
		}
		terms[field] = value
	}
	return terms, nil
}
