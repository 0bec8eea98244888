package http1

// Classes of bytes.
const (
	tokenByte  uint8 = 1 << iota // RFC 9110, section 5.6.2
	valueByte                    // RFC 9110, section 5.5: field-vchar, SP and HTAB
	targetByte                   // what a request target may hold: printable ASCII but for "#"
	hostByte                     // RFC 3986, section 3.2.2: reg-name, without percent-encoding
	hexByte
)

// classes tells the classes of each byte.
var classes = makeClasses()

func makeClasses() (table [256]uint8) {
	for i := range table {
		c := byte(i)
		letterOrDigit := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if letterOrDigit {
			table[i] |= tokenByte | hostByte
		}
		if c >= ' ' && c != 0x7f || c == '\t' {
			table[i] |= valueByte
		}
		if c > ' ' && c < 0x7f && c != '#' {
			table[i] |= targetByte
		}
		if c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' {
			table[i] |= hexByte
		}
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		table[c] |= tokenByte
	}
	for _, c := range []byte("-._~!$&'()*+,;=") {
		table[c] |= hostByte
	}
	return table
}

func all[T []byte | string](text T, class uint8) bool {
	for i := range len(text) {
		if classes[text[i]]&class == 0 {
			return false
		}
	}
	return true
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// eight are eight bytes at once, the first the lowest. The compiler makes one load of it.
func eight[T []byte | string](text T, at int) uint64 {
	text = text[at : at+8]
	return uint64(text[0]) | uint64(text[1])<<8 | uint64(text[2])<<16 | uint64(text[3])<<24 |
		uint64(text[4])<<32 | uint64(text[5])<<40 | uint64(text[6])<<48 | uint64(text[7])<<56
}

// below marks at least the bytes of ASCII below a limit, and zero those that are zero. Either may mark a byte too many.
func below(word, limit uint64) uint64 { return (word - limit*ones) &^ word & highs }

func zero(word uint64) uint64 { return (word - ones) &^ word & highs }

// validValue tells whether a field value is free of control characters, HTAB excepted. It looks at eight bytes at a time.
func validValue[T []byte | string](value T) bool {
	if len(value) < 8 {
		return all(value, valueByte)
	}
	for at := 0; ; at += 8 {
		// The last eight may have been looked at in part.
		at = min(at, len(value)-8)
		word := eight(value, at)
		if below(word, ' ')|zero(word^0x7f*ones) != 0 && !all(value[at:at+8], valueByte) {
			return false
		}
		if at == len(value)-8 {
			return true
		}
	}
}

// validTarget tells whether a request target has the bytes only that one may have.
func validTarget[T []byte | string](target T) bool {
	if len(target) < 8 {
		return all(target, targetByte)
	}
	for at := 0; ; at += 8 {
		at = min(at, len(target)-8)
		word := eight(target, at)
		if word&highs|below(word, '!')|zero(word^0x7f*ones)|zero(word^'#'*ones) != 0 && !all(target[at:at+8], targetByte) {
			return false
		}
		if at == len(target)-8 {
			return true
		}
	}
}

// lower is c in lower case if it is a letter of ASCII.
func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// equalFold compares without regard to the case of ASCII letters.
func equalFold[A, B []byte | string](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// trim takes white space off both ends (RFC 9110, section 5.6.3).
func trim[T []byte | string](text T) T {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t') {
		text = text[1:]
	}
	for len(text) > 0 && (text[len(text)-1] == ' ' || text[len(text)-1] == '\t') {
		text = text[:len(text)-1]
	}
	return text
}

// nextElement takes the first element off a list of elements that are separated by commas.
func nextElement[T []byte | string](list T) (element, rest T) {
	for i := range len(list) {
		if list[i] == ',' {
			return trim(list[:i]), list[i+1:]
		}
	}
	return trim(list), list[len(list):]
}
