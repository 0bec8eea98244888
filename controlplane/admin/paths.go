package admin

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/annotations"
)

// paths knows which methods each path takes, to say so when another one comes (RFC 9110, section 15.5.6: Allow).
type paths []boundPath

type boundPath struct {
	method  string
	pattern *regexp.Regexp
}

// parameter is a variable of a path template.
var parameter = regexp.MustCompile(`\\\{[a-z_]+\\\}`)

func newPaths(rules map[string]*annotations.HttpRule) paths {
	var bound paths
	for _, rule := range rules {
		pattern := parameter.ReplaceAllString(regexp.QuoteMeta(pathOf(rule)), `[^/:]+`)
		bound = append(bound, boundPath{methodOf(rule), regexp.MustCompile("^" + pattern + "$")})
	}
	return bound
}

func methodOf(rule *annotations.HttpRule) string {
	switch rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet
	case *annotations.HttpRule_Put:
		return http.MethodPut
	case *annotations.HttpRule_Post:
		return http.MethodPost
	case *annotations.HttpRule_Delete:
		return http.MethodDelete
	case *annotations.HttpRule_Patch:
		return http.MethodPatch
	}
	return ""
}

// allowed are the methods that a path takes, sorted; none if there is no such path.
func (p paths) allowed(path string) []string {
	var methods []string
	for _, bound := range p {
		if bound.pattern.MatchString(path) {
			methods = append(methods, bound.method)
		}
	}
	slices.Sort(methods)
	return slices.Compact(methods)
}

// writeRoutingFailure answers requests that no RPC takes.
func (p paths) writeRoutingFailure(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
	if allowed := p.allowed(r.URL.Path); len(allowed) > 0 && code != http.StatusBadRequest {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		writeProblem(w, r, newProblem(problemMethod, r.Method+" does not fit "+r.URL.Path+", which takes "+strings.Join(allowed, ", ")))
		return
	}
	if code == http.StatusBadRequest {
		writeProblem(w, r, newProblem(problemMalformed, "the path cannot be read"))
		return
	}
	writeProblem(w, r, newProblem(problemNotFound, "there is nothing at "+r.URL.Path))
}
