package store

import (
	"errors"
	"fmt"

	"tidegate.dev/proto/pattern"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// RouteRule reads the match of a route. The violations name what in it cannot be understood, in the order of the fields; the
// rule then holds what can be.
func RouteRule(name string, route *configv1.Route) (pattern.Rule, []configv1.FieldViolation) {
	rule := pattern.Rule{Name: name, Priority: route.GetPriority()}
	var violations []configv1.FieldViolation
	for i, text := range route.GetMatch().GetHosts() {
		host, err := pattern.ParseHost(text)
		if err != nil {
			violations = append(violations, syntaxViolation(fmt.Sprintf("match.hosts[%d]", i), "route.host", err))
			continue
		}
		rule.Hosts = append(rule.Hosts, host)
	}
	for i, text := range route.GetMatch().GetPaths() {
		path, err := pattern.ParsePath(text)
		if err != nil {
			violations = append(violations, syntaxViolation(fmt.Sprintf("match.paths[%d]", i), "route.path", err))
			continue
		}
		rule.Paths = append(rule.Paths, path)
	}
	for i, text := range route.GetMatch().GetMethods() {
		method, err := pattern.ParseMethod(text)
		if err != nil {
			violations = append(violations, syntaxViolation(fmt.Sprintf("match.methods[%d]", i), "route.method", err))
			continue
		}
		rule.Methods = append(rule.Methods, method)
	}
	if len(violations) > 0 {
		return rule, violations
	}
	for _, violation := range rule.Validate() {
		violations = append(violations, configv1.FieldViolation{
			Field: "match." + violation.Field, Rule: "route.match", Message: violation.Message,
		})
	}
	return rule, violations
}

func syntaxViolation(field, rule string, err error) configv1.FieldViolation {
	message := err.Error()
	var syntax *pattern.SyntaxError
	if errors.As(err, &syntax) {
		message = fmt.Sprintf("%s at character %d; %s", syntax.Problem, syntax.Offset+1, syntax.Fix)
	}
	return configv1.FieldViolation{Field: field, Rule: rule, Message: message}
}
