package pattern

import (
	"testing"
)

// choices turns fuzzed bytes into small numbers, so that few alphabets collide often.
type choices struct{ data []byte }

func (c *choices) below(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	next := int(c.data[0])
	c.data = c.data[1:]
	return next % n
}

func (c *choices) pick(words ...string) string { return words[c.below(len(words))] }

func (c *choices) path(t *testing.T) Path {
	if c.below(6) == 0 {
		return mustPath(t, c.pick("~.*", "~/a.*", "~/a/.+", "~/a/b", "~/[ab](/.*)?", "~(?i)/A", "~/b/?"))
	}
	text := ""
	for range c.below(4) {
		text += "/" + c.pick("a", "b", "{}", "a%2Ab")
	}
	return mustPath(t, text+c.pick("/**", "/", "/a", "/{}"))
}

func (c *choices) rule(t *testing.T, name string) Rule {
	rule := Rule{Name: name, Priority: int32(c.below(3))}
	for range c.below(3) {
		rule.Hosts = append(rule.Hosts, mustHost(t, c.pick("a.com", "b.a.com", "*.com", "*.a.com", "*")))
	}
	for range c.below(3) {
		rule.Paths = append(rule.Paths, c.path(t))
	}
	for range c.below(3) {
		rule.Methods = append(rule.Methods, c.pick("GET", "PUT", "PURGE"))
	}
	for range c.below(3) {
		operator := Operator(c.below(5))
		value := c.pick("v1", "v2")
		if operator == Present || operator == Absent {
			value = ""
		}
		rule.Headers = append(rule.Headers, mustHeader(t, c.pick("x", "y"), operator, value))
	}
	return rule
}

func (c *choices) request() Request {
	request := Request{Host: c.pick("a.com", "b.a.com", "c.b.a.com", "org"), Method: c.pick("GET", "PUT", "PURGE", "POST")}
	headers := map[string]string{}
	for range c.below(3) {
		headers[c.pick("x", "y")] = c.pick("v1", "v2", "v11", "")
	}
	request.Fields = fields{headers: headers}
	for range 1 + c.below(4) {
		request.Path += "/" + c.pick("a", "b", "c", "a*b", "a%2Ab", "A")
	}
	request.Path += c.pick("", "/")
	return request
}

// FuzzConflicts checks what Ties, TieKeys, Overlap and Shadows claim against what requests do.
func FuzzConflicts(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0})
	f.Add([]byte("a longer run of choices, so that rules have several hosts, paths and conditions"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &choices{data}
		a, b := c.rule(t, "a"), c.rule(t, "b")
		shadows, _ := Shadows(a, b)
		for range 8 {
			request := c.request()
			_, fitsA := Winner([]Rule{a}, request)
			_, fitsB := Winner([]Rule{b}, request)
			if shadows && fitsB {
				if winner, _ := Winner([]Rule{b, a}, request); winner == 0 {
					t.Fatalf("%+v\nshadows %+v, which takes %+v", a, b, request)
				}
			}
			if !fitsA || !fitsB {
				continue
			}
			if !Overlap(a, b) || !Overlap(b, a) {
				t.Fatalf("%+v\n%+v\nboth match %+v but do not overlap", a, b, request)
			}
			bestA, _ := a.best(request)
			bestB, _ := b.best(request)
			tie, _ := Ties(a, b)
			if a.rank(bestA).compare(b.rank(bestB)) == 0 && (!tie || !sharesKey(a, b)) {
				t.Fatalf("%+v\n%+v\ntie on %+v", a, b, request)
			}
		}
	})
}
