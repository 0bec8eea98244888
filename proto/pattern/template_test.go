package pattern

import "testing"

func TestTemplates(t *testing.T) {
	t.Parallel()
	values := map[string]string{"id": "7", "**": "a/b", "none": "", "dot": ".", "cut": "%2", "slash": "%2F"}
	cases := map[string]struct{ template, want string }{
		"a literal":                   {"/v2", "/v2"},
		"values":                      {"/v2/{id}/x-{id}/{**}", "/v2/7/x-7/a/b"},
		"an empty value":              {"/v2/{none}/x", "/v2/x"},
		"an empty value at the end":   {"/v2/{none}", "/v2/"},
		"an escaped slash stays":      {"/{slash}", "/%2F"},
		"no dot segment is made":      {"/{dot}{dot}/secret", ""},
		"no hidden dot segment":       {"/{slash}{dot}{dot}", ""},
		"no escape is made":           {"/{cut}E", ""},
		"no network-path reference":   {"/{none}/host", "/host"},
		"no broken escape":            {"/{cut}", ""},
		"an escape that is put right": {"/{cut}F", "/%2F"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := ParseTemplate(c.template)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := template.Expand(func(name string) string { return values[name] })
			if ok != (c.want != "") || ok && got != c.want {
				t.Errorf("got %q, %v", got, ok)
			}
		})
	}
}

func TestTemplatesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", "//x", "/../x", "/a/./b", "/{", "/{}", "/}", "/a b", "/a?b", "/a#b", "/%zz", "/%61", "/a\r\nb", "/{a}/{b"} {
		if _, err := ParseTemplate(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// Whatever the values are, what comes out is in the one form in which paths are passed on.
func FuzzTemplate(f *testing.F) {
	f.Add("/v2/{a}/{b}", "x", "..")
	f.Add("/{a}{b}", "%2", "e")
	f.Fuzz(func(t *testing.T, text, a, b string) {
		template, err := ParseTemplate(text)
		if err != nil {
			return
		}
		path, ok := template.Expand(func(name string) string {
			if name == "a" {
				return a
			}
			return b
		})
		if normal, err := NormalizePath(path); ok && (err != nil || normal != path || len(path) > 1 && path[1] == '/') {
			t.Errorf("%q with %q and %q became %q", text, a, b, path)
		}
	})
}
