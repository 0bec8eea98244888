package admin

import (
	"encoding/base64"
	"strings"
)

// defaultPageSize applies where the client says nothing; the schema bounds what it may say.
const defaultPageSize = 100

func pageSize(asked int32) int {
	if asked == 0 {
		return defaultPageSize
	}
	return int(asked)
}

// pageMark tells our page tokens from what people make up.
const pageMark = "1:"

// pageToken hides where the next page begins; "" if there is none.
func pageToken(after string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(pageMark + after))
}

// pageStart reads a page token back. An empty token is the first page.
func pageStart(token string) (string, error) {
	if token == "" {
		return "", nil
	}
	decoded, err := base64.RawURLEncoding.DecodeString(token)
	after, ok := strings.CutPrefix(string(decoded), pageMark)
	if err != nil || !ok {
		return "", invalidField("page_token", "page_token", "is not a page token that this list gave")
	}
	return after, nil
}

// page cuts a list that was read one item further than asked: the item more says that there is a next page.
func page[T any](items []T, size int, position func(T) string) (shown []T, next string) {
	if len(items) <= size {
		return items, ""
	}
	return items[:size], pageToken(position(items[size-1]))
}
