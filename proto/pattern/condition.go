package pattern

import (
	"fmt"
	"regexp"
	"strings"
)

// Operator is how a condition judges a value.
type Operator uint8

const (
	// Equals wants the value itself.
	Equals Operator = iota
	// HasPrefix wants a value that begins so.
	HasPrefix
	// MatchesRegex wants a value of at most [MaxRegexText] bytes that a regular expression (RE2) matches as a whole.
	MatchesRegex
	// Present wants the field to be there, with any value, the empty one included.
	Present
	// Absent wants the field not to be there.
	Absent
)

// Condition is what a rule asks of one header or one query parameter. It judges the first value, if there are several.
type Condition struct {
	name     string
	operator Operator
	value    string
	regex    *regexp.Regexp
}

// Fields is where conditions look. A request's own representation implements it, so that nothing is copied.
type Fields interface {
	// Header returns the first value of the header; name is in lower case.
	Header(name string) (value string, present bool)
	// Query returns the first value of the query parameter, decoded; name is decoded and compared exactly.
	Query(name string) (value string, present bool)
}

// ParseHeader makes a condition on a header. The name is compared without regard to case. For Present and Absent the value
// must be empty. An error about the value is a *[SyntaxError].
func ParseHeader(name string, operator Operator, value string) (Condition, error) {
	for i := range len(name) {
		if !isTokenCharacter(name[i]) {
			return Condition{}, syntaxError(name, i, "has a character that no header name has", "use letters, digits and hyphens")
		}
	}
	name = lower(name)
	if name == "host" {
		return Condition{}, syntaxError(name, 0, "is matched by hosts", "write the host under hosts")
	}
	return newCondition(name, operator, value)
}

// ParseQuery makes a condition on a query parameter. Name and value are written decoded, and compared exactly.
func ParseQuery(name string, operator Operator, value string) (Condition, error) {
	return newCondition(name, operator, value)
}

func newCondition(name string, operator Operator, value string) (Condition, error) {
	c := Condition{name: name, operator: operator, value: value}
	if name == "" {
		return Condition{}, syntaxError(name, 0, "is empty", "name the field that the condition is about")
	}
	switch operator {
	case Equals:
	case HasPrefix:
		if value == "" {
			return Condition{}, syntaxError(value, 0, "is an empty prefix", "use present for any value")
		}
	case MatchesRegex:
		regex, _, err := compileRegex(value, 0)
		if err != nil {
			return Condition{}, err
		}
		c.regex = regex
	case Present, Absent:
		if value != "" {
			return Condition{}, syntaxError(value, 0, "is a value that is not compared", "leave it out")
		}
	default:
		return Condition{}, fmt.Errorf("condition on %q has unknown operator %d", name, operator)
	}
	return c, nil
}

// Name is the field's name, in lower case for a header.
func (c Condition) Name() string { return c.name }

// Accepts judges a field's first value.
func (c Condition) Accepts(value string, present bool) bool {
	switch c.operator {
	case Equals:
		return present && value == c.value
	case HasPrefix:
		return present && strings.HasPrefix(value, c.value)
	case MatchesRegex:
		return present && len(value) <= MaxRegexText && c.regex.MatchString(value)
	case Present:
		return present
	}
	return !present
}

// String says what the condition wants, as in `x-canary is "yes"`.
func (c Condition) String() string {
	switch c.operator {
	case Equals:
		return fmt.Sprintf("%s is %q", c.name, c.value)
	case HasPrefix:
		return fmt.Sprintf("%s begins with %q", c.name, c.value)
	case MatchesRegex:
		return fmt.Sprintf("%s matches %q", c.name, c.value)
	case Present:
		return c.name + " is present"
	}
	return c.name + " is absent"
}

// same tells whether two conditions are one.
func (c Condition) same(other Condition) bool {
	return c.name == other.name && c.operator == other.operator && c.value == other.value
}

// implies tells whether every field that c accepts is accepted by other. False may mean "unknown".
func (c Condition) implies(other Condition) bool {
	switch {
	case c.same(other):
		return true
	case c.name != other.name || c.operator == Absent || other.operator == Absent:
		return false
	case other.operator == Present:
		return true
	case c.operator == Equals:
		return other.Accepts(c.value, true)
	}
	return c.operator == HasPrefix && other.operator == HasPrefix && strings.HasPrefix(c.value, other.value)
}

// excludes tells whether no field is accepted by both. False may mean "unknown".
func (c Condition) excludes(other Condition) bool {
	switch {
	case c.name != other.name:
		return false
	case c.operator == Absent || other.operator == Absent:
		return c.operator != other.operator
	case c.operator == Equals:
		return !other.Accepts(c.value, true)
	case other.operator == Equals:
		return !c.Accepts(other.value, true)
	case c.operator == HasPrefix && other.operator == HasPrefix:
		return !strings.HasPrefix(c.value, other.value) && !strings.HasPrefix(other.value, c.value)
	}
	return false
}

// isTokenCharacter is tchar of RFC 9110, section 5.6.2.
func isTokenCharacter(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
