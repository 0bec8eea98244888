package config

import (
	"errors"
	"fmt"

	"tidegate.dev/proto/pattern"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// checkTemplates finds templates that cannot be understood, and values that some path of the route does not have.
func checkTemplates(route *configv1.Route, rule pattern.Rule) []configv1.FieldViolation {
	var violations []configv1.FieldViolation
	refuse := func(field, message string) {
		violations = append(violations, configv1.FieldViolation{Field: field, Rule: "route.template", Message: message})
	}
	check := func(field, text string, more ...string) {
		if text == "" {
			return
		}
		template, err := pattern.ParseTemplate(text)
		var syntax *pattern.SyntaxError
		if errors.As(err, &syntax) {
			refuse(field, fmt.Sprintf("%s at character %d; %s", syntax.Problem, syntax.Offset+1, syntax.Fix))
			return
		}
		for _, path := range rule.Paths {
			if name := path.Lacks(append(more, template.Names()...)); name != "" {
				refuse(field, fmt.Sprintf("needs {%s}, which the path %s does not have", name, path.Source()))
				return
			}
		}
	}
	check("rewrite.path", route.GetRewrite().GetPath())
	check("rewrite.path_prefix", route.GetRewrite().GetPathPrefix(), "**")
	check("redirect.path", route.GetRedirect().GetPath())
	return violations
}
