package router

import (
	"regexp"
	"strings"

	"tidegate.dev/proto/pattern"
)

// Params are the values that the matched pattern took from the path. The caller owns it and may use it again for the next
// request; it is not for several goroutines at once. Values are parts of the path that was matched, as it was given, so they
// live as long as that does. The zero value is empty.
type Params struct {
	count  int
	names  [pattern.MaxParams]string
	values [pattern.MaxParams]string
}

// Len is the number of values, at most [pattern.MaxParams].
func (p *Params) Len() int { return p.count }

// At returns value i, counted from 0 in the order of the pattern.
func (p *Params) At(i int) (name, value string) { return p.names[i], p.values[i] }

// Get returns the value of the parameter, "**" for what a trailing ** matched, without the slash in front of it.
func (p *Params) Get(name string) (value string, ok bool) {
	for i := range p.count {
		if p.names[i] == name {
			return p.values[i], true
		}
	}
	return "", false
}

// Reset empties p and lets go of the path.
func (p *Params) Reset() {
	clear(p.names[:p.count])
	clear(p.values[:p.count])
	p.count = 0
}

func (p *Params) add(name, value string) {
	p.names[p.count], p.values[p.count] = name, value
	p.count++
}

// capture takes the template's values from the path, which has the segments that the captures speak of.
func (p *Params) capture(path string, captures []pattern.Capture) {
	start, segment := 1, 0
	for i := range captures {
		for ; segment < captures[i].Segment; segment++ {
			next := strings.IndexByte(path[start:], '/')
			if next < 0 {
				// Only ** may begin behind the last segment.
				p.add(captures[i].Name, "")
				return
			}
			start += next + 1
		}
		end := len(path)
		if !captures[i].Rest {
			if next := strings.IndexByte(path[start:], '/'); next >= 0 {
				end = start + next
			}
		}
		p.add(captures[i].Name, path[start:end])
	}
}

// captureExpression takes the values of the named groups. It allocates, unlike all else here.
func (p *Params) captureExpression(path string, regex *regexp.Regexp) {
	bounds := regex.FindStringSubmatchIndex(path)
	for i, name := range regex.SubexpNames() {
		if name != "" && bounds != nil && bounds[2*i] >= 0 {
			p.add(name, path[bounds[2*i]:bounds[2*i+1]])
		}
	}
}
