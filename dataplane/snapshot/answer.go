package snapshot

import (
	"strings"

	"tidegate.dev/proto/pattern"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Rewrite is what the upstream sees instead of what the client asked.
type Rewrite struct {
	// Path makes the path, if it is not nil. Otherwise Prefix, without a slash at its end, stands for everything in front of
	// what ** matched, if HasPrefix.
	Path      *pattern.Template
	HasPrefix bool
	Prefix    string
	// Host is empty for the one that there would be anyway.
	Host string
}

// Redirect sends the client elsewhere. What is empty stays as the client asked it.
type Redirect struct {
	Status       int
	Scheme, Host string
	Path         *pattern.Template
}

// DirectResponse is a fixed answer.
type DirectResponse struct {
	Status      int
	Body        []byte
	ContentType string
}

// readAnswer reads what a route does with a request beside handing it to a service.
func (c *compilation) readAnswer(resource string, spec *configv1.Route, source *routeSource) {
	paths := source.rule.Paths
	if rewrite := spec.GetRewrite(); rewrite != nil {
		source.rewrite = &Rewrite{Host: rewrite.GetHost(), Path: c.template(resource, "rewrite.path", rewrite.GetPath(), paths)}
		if prefix := rewrite.GetPathPrefix(); prefix != "" {
			c.template(resource, "rewrite.path_prefix", prefix, nil)
			c.lacks(resource, "rewrite.path_prefix", []string{"**"}, paths)
			source.rewrite.HasPrefix, source.rewrite.Prefix = true, strings.TrimSuffix(prefix, "/")
		}
	}
	if redirect := spec.GetRedirect(); redirect != nil {
		source.redirect = &Redirect{
			Status: int(redirect.GetStatus()), Scheme: redirect.GetScheme(), Host: redirect.GetHost(),
			Path: c.template(resource, "redirect.path", redirect.GetPath(), paths),
		}
		if source.redirect.Status == 0 {
			source.redirect.Status = 302
		}
	}
	if direct := spec.GetDirectResponse(); direct != nil {
		source.direct = &DirectResponse{Status: int(direct.GetStatus()), Body: []byte(direct.GetBody()), ContentType: direct.GetContentType()}
		if source.direct.ContentType == "" {
			source.direct.ContentType = "text/plain; charset=utf-8"
		}
		if source.direct.Status < 200 || source.direct.Status > 599 {
			c.fail(resource, "direct_response.status", CodeCompile, "is not between 200 and 599")
		}
	}
	if len(source.services) == 0 && source.redirect == nil && source.direct == nil {
		c.fail(resource, "service", CodeReference, "names no service")
	}
}

// template reads a template whose values every path must have.
func (c *compilation) template(resource, field, text string, paths []pattern.Path) *pattern.Template {
	if text == "" {
		return nil
	}
	template, err := pattern.ParseTemplate(text)
	if err != nil {
		c.failPattern(resource, field, err)
		return nil
	}
	c.lacks(resource, field, template.Names(), paths)
	return &template
}

func (c *compilation) lacks(resource, field string, names []string, paths []pattern.Path) {
	for _, path := range paths {
		if name := path.Lacks(names); name != "" {
			c.fail(resource, field, CodeCompile, "needs {%s}, which the path %s does not have", name, path.Source())
		}
	}
}
