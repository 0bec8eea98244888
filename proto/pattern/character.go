package pattern

// class is what a byte may do in a path, by RFC 3986 sections 2 and 3.3.
type class uint8

const (
	// illegal bytes are refused: controls, space, and delimiters that end a path.
	illegal class = iota
	// encoded bytes have no place in a path but do no harm: they are percent-encoded.
	encoded
	// unreserved bytes mean the same with and without percent-encoding, and stand without.
	unreserved
	// reserved bytes may stand in a segment, and RFC 3986 lets their encoded form mean something else.
	reserved
	// slash separates segments.
	slash
	// percent begins an escape.
	percent
)

var classes = makeClasses()

func makeClasses() (table [256]class) {
	for c := range 256 {
		switch b := byte(c); {
		case isAlphanumeric(b):
			table[c] = unreserved
		case b <= ' ' || b == 0x7f:
			table[c] = illegal
		default:
			table[c] = encoded
		}
	}
	for _, c := range []byte("-._~") {
		table[c] = unreserved
	}
	for _, c := range []byte("!$&'()*+,;=:@") {
		table[c] = reserved
	}
	for _, c := range []byte(`?#\`) {
		table[c] = illegal
	}
	table['/'], table['%'] = slash, percent
	return table
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// unescape reads the escape %XX at text[at:].
func unescape(text string, at int) (value byte, ok bool) {
	if at+2 >= len(text) {
		return 0, false
	}
	high, ok1 := hexValue(text[at+1])
	low, ok2 := hexValue(text[at+2])
	return high<<4 | low, ok1 && ok2
}

func hexValue(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

func appendEscape(out []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(out, '%', digits[c>>4], digits[c&15])
}
