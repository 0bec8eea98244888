package config

import (
	"encoding/base64"
	"fmt"
	"strings"

	"tidegate.dev/controlplane/store"
)

const (
	defaultPageSize = 100
	maxPageSize     = 1000
)

// page is a checked ListOptions.
type page struct {
	// scope ties a token to the list that gave it.
	scope string
	after string
	size  int
}

func (o ListOptions) page(scope string) (page, error) {
	p := page{scope: scope, size: o.PageSize}
	switch {
	case p.size == 0:
		p.size = defaultPageSize
	case p.size < 0 || p.size > maxPageSize:
		return page{}, refusedField("page_size", "int32.gte_lte", fmt.Sprintf("must be between 0 and %d", maxPageSize))
	}
	if o.PageToken == "" {
		return p, nil
	}
	decoded, err := base64.RawURLEncoding.DecodeString(o.PageToken)
	after, ok := strings.CutPrefix(string(decoded), scope+"\x00")
	if err != nil || !ok || strings.ContainsRune(after, 0) {
		return page{}, refusedField("page_token", rulePageToken, "must be the next_page_token of the page before, of the same list")
	}
	p.after = after
	return p, nil
}

// cut takes the one element too many that was asked for off a page, and makes the token of the next.
func cut[T any](items []T, p page, place func(T) string) (kept []T, next string) {
	if len(items) <= p.size {
		return items, ""
	}
	items = items[:p.size]
	return items, base64.RawURLEncoding.EncodeToString([]byte(p.scope + "\x00" + place(items[p.size-1])))
}

// resourceFilter reads "name:prefix" and "labels.key=value", joined by " AND ".
func (o ListOptions) resourceFilter(p page) (store.Filter, error) {
	filter := store.Filter{After: p.after, Limit: p.size + 1}
	for _, term := range o.filterTerms() {
		if prefix, ok := strings.CutPrefix(term, "name:"); ok {
			filter.Prefix = prefix
			continue
		}
		label, isLabel := strings.CutPrefix(term, "labels.")
		key, value, hasValue := strings.Cut(label, "=")
		if !isLabel || !hasValue || key == "" {
			return store.Filter{}, badFilter(term, `"name:prefix" or "labels.key=value", joined by " AND "`)
		}
		if filter.Labels == nil {
			filter.Labels = map[string]string{}
		}
		filter.Labels[key] = value
	}
	if strings.ContainsRune(o.Filter, 0) {
		return store.Filter{}, badFilter(o.Filter, "text")
	}
	return filter, nil
}

// stateFilter reads "state=open".
func (o ListOptions) stateFilter() (state string, err error) {
	for _, term := range o.filterTerms() {
		value, ok := strings.CutPrefix(term, "state=")
		if !ok {
			return "", badFilter(term, `"state=open"`)
		}
		state = value
	}
	return state, nil
}

func (o ListOptions) filterTerms() []string {
	if strings.TrimSpace(o.Filter) == "" {
		return nil
	}
	terms := strings.Split(o.Filter, " AND ")
	for i := range terms {
		terms[i] = strings.TrimSpace(terms[i])
	}
	return terms
}

func badFilter(term, want string) error {
	return refusedField("filter", ruleFilter, fmt.Sprintf("cannot read %q; write %s", term, want))
}
