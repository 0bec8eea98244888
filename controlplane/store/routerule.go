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
	var wrong []configv1.FieldViolation
	rule.Headers, wrong = conditions("match.headers", "route.header", route.GetMatch().GetHeaders(), pattern.ParseHeader)
	violations = append(violations, wrong...)
	rule.Query, wrong = conditions("match.query", "route.query", route.GetMatch().GetQuery(), pattern.ParseQuery)
	violations = append(violations, wrong...)
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

type parseCondition func(name string, operator pattern.Operator, value string) (pattern.Condition, error)

func conditions(field, rule string, list []*configv1.Condition, parse parseCondition) (out []pattern.Condition, wrong []configv1.FieldViolation) {
	for i, c := range list {
		operator, value := operatorOf(c)
		condition, err := parse(c.GetName(), operator, value)
		if err != nil {
			wrong = append(wrong, syntaxViolation(fmt.Sprintf("%s[%d]", field, i), rule, err))
			continue
		}
		out = append(out, condition)
	}
	return out, wrong
}

func operatorOf(c *configv1.Condition) (operator pattern.Operator, value string) {
	switch test := c.GetTest().(type) {
	case *configv1.Condition_Prefix:
		return pattern.HasPrefix, test.Prefix
	case *configv1.Condition_Regex:
		return pattern.MatchesRegex, test.Regex
	case *configv1.Condition_Present:
		return pattern.Present, ""
	case *configv1.Condition_Absent:
		return pattern.Absent, ""
	}
	return pattern.Equals, c.GetEquals()
}

func syntaxViolation(field, rule string, err error) configv1.FieldViolation {
	message := err.Error()
	var syntax *pattern.SyntaxError
	if errors.As(err, &syntax) {
		message = fmt.Sprintf("%s at character %d; %s", syntax.Problem, syntax.Offset+1, syntax.Fix)
	}
	return configv1.FieldViolation{Field: field, Rule: rule, Message: message}
}
