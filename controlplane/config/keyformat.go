package config

import (
	"crypto/rand"
	"math/big"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// newKey makes an API key and its id.
func newKey() (key, id string) {
	random := make([]byte, configv1.APIKeyRandomLength)
	for i := range random {
		// crypto/rand never fails (Go 1.24), and Int is uniform.
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(configv1.APIKeyAlphabet))))
		if err != nil {
			panic("crypto/rand failed: " + err.Error())
		}
		random[i] = configv1.APIKeyAlphabet[n.Int64()]
	}
	return configv1.FormatAPIKey(string(random))
}
