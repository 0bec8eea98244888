package pattern

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

func parseRegex(text string) (Path, error) {
	regex, tree, err := compileRegex(text, 1)
	if err != nil {
		return Path{}, err
	}
	prefix := literalPrefix(tree)
	if prefix != "" && prefix[0] != '/' {
		return Path{}, syntaxError(text, 1, "never matches", `begin it with "/", as every path does`)
	}
	named := 0
	for _, name := range regex.SubexpNames() {
		if name != "" {
			named++
		}
	}
	if named > MaxParams {
		return Path{}, syntaxError(text, 0, fmt.Sprintf("captures more than %d values", MaxParams), "leave out names that are not used: (?:…)")
	}
	return Path{text: text, canonical: text, regex: regex, prefix: prefix}, nil
}

// compileRegex compiles the expression at text[offset:], anchored at both ends. The expression is parsed alone first, so
// that it cannot close the group that anchors it.
func compileRegex(text string, offset int) (*regexp.Regexp, *syntax.Regexp, error) {
	expression := text[offset:]
	tree, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil, nil, regexError(text, offset, err)
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, nil, regexError(text, offset, err)
	}
	if len(program.Inst) > MaxRegexInstructions {
		return nil, nil, syntaxError(text, offset, "is too large a regular expression", "use smaller repetitions, or several routes")
	}
	regex, err := regexp.Compile(`\A(?:` + expression + `)\z`)
	if err != nil {
		return nil, nil, regexError(text, offset, err)
	}
	return regex, tree, nil
}

func regexError(text string, offset int, err error) error {
	var parse *syntax.Error
	if !errors.As(err, &parse) {
		return syntaxError(text, offset, "is no regular expression", err.Error())
	}
	if at := strings.Index(text[offset:], parse.Expr); at > 0 {
		offset += at
	}
	return syntaxError(text, offset, fmt.Sprintf("%s in the regular expression: %q", parse.Code, parse.Expr), "see https://github.com/google/re2/wiki/Syntax")
}

// literalPrefix is the ASCII text that everything begins with which the expression matches from its start.
func literalPrefix(tree *syntax.Regexp) string {
	prefix, _ := appendPrefix(nil, tree)
	return string(prefix)
}

// appendPrefix appends the literal beginning of tree, and tells whether tree is nothing but that.
func appendPrefix(prefix []byte, tree *syntax.Regexp) (_ []byte, whole bool) {
	switch tree.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpBeginLine:
		return prefix, true
	case syntax.OpCapture:
		return appendPrefix(prefix, tree.Sub[0])
	case syntax.OpConcat:
		for _, sub := range tree.Sub {
			if prefix, whole = appendPrefix(prefix, sub); !whole {
				return prefix, false
			}
		}
		return prefix, true
	case syntax.OpLiteral:
		if tree.Flags&syntax.FoldCase != 0 {
			return prefix, false
		}
		for _, r := range tree.Rune {
			// Above ASCII a rune may match bytes that are not its own encoding (U+FFFD does).
			if r >= utf8.RuneSelf {
				return prefix, false
			}
			prefix = append(prefix, byte(r))
		}
		return prefix, true
	}
	return prefix, false
}
