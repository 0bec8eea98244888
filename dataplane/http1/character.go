package http1

import "encoding/binary"

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

// validValue tells whether a field value is free of control characters, HTAB excepted. It looks at eight bytes at a time.
func validValue(value []byte) bool {
	if len(value) < 8 {
		return all(value, valueByte)
	}
	for at := 0; ; at += 8 {
		// The last eight may have been looked at in part.
		at = min(at, len(value)-8)
		word := binary.LittleEndian.Uint64(value[at:])
		controls := (word - ' '*ones) &^ word & highs
		deletes := word ^ 0x7f*ones
		deletes = (deletes - ones) &^ deletes & highs
		if controls|deletes != 0 && !all(value[at:at+8], valueByte) {
			return false
		}
		if at == len(value)-8 {
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
