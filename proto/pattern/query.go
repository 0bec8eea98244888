package pattern

import "strings"

// QueryValue returns the first value of the parameter in a query as it was sent, without the "?". Names and values are
// compared and returned decoded: %XX is a byte, "+" a space, and a "%" that begins no escape stands for itself. Parameters
// are separated by "&" alone, as the URL Standard has it. It allocates only to decode a value.
func QueryValue(query, name string) (value string, present bool) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, text, _ := strings.Cut(pair, "=")
		if pair != "" && isDecodedForm(key, name) {
			return decodeQuery(text), true
		}
	}
	return "", false
}

// isDecodedForm tells whether text decodes to plain.
func isDecodedForm(text, plain string) bool {
	at := 0
	for i := 0; i < len(text); at++ {
		c, size := queryByte(text, i)
		if at >= len(plain) || plain[at] != c {
			return false
		}
		i += size
	}
	return at == len(plain)
}

func decodeQuery(text string) string {
	if strings.IndexByte(text, '%') < 0 && strings.IndexByte(text, '+') < 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		c, size := queryByte(text, i)
		out = append(out, c)
		i += size
	}
	return string(out)
}

// queryByte decodes what stands at text[at:], and says how long it is there.
func queryByte(text string, at int) (value byte, size int) {
	switch text[at] {
	case '+':
		return ' ', 1
	case '%':
		if value, ok := unescape(text, at); ok {
			return value, 3
		}
	}
	return text[at], 1
}
