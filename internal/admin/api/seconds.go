package api

import (
	"encoding/json"
	"math"
)

// Seconds is a time; NaN, which JSON has as null, if there is none to tell.
type Seconds float64

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(s)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(s))
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Seconds) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*s = Seconds(math.NaN())
		return nil
	}
	return json.Unmarshal(text, (*float64)(s))
}
