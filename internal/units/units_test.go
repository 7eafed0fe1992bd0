package units

import (
	"math"
	"testing"
	"time"
)

func TestUnits(t *testing.T) {
	for got, want := range map[string]string{
		PerSecond(0): "0", PerSecond(.01): "0.1", PerSecond(4.25): "4.2", PerSecond(79): "79",
		Seconds(math.NaN()): "-", Seconds(0.0): "0", Seconds(84e-6): "84µs", Seconds(.123): "123ms", Seconds(2.5): "2.5s",
		Age(42 * time.Second): "42s", Age(185 * time.Second): "3m05s", Age(2 * time.Hour): "2h00m", Age(100 * time.Hour): "4d04h", Age(-time.Hour): "0s",
		Lasting(3.21): "3.21s", Lasting(61): "1m01s", Window(.31): "310ms", Window(9.998): "10s", Window(60.2): "1m00s",
		Size(512): "512 B", Size(20 << 10): "20 KB", Size(61 << 20): "61 MB", Size(12 << 30): "12 GB",
		Count(0, "client"): "0 clients", Count(1, "client"): "1 client", Count(2, "primary"): "2 primaries", Count(uint64(1), "entry"): "1 entry",
		Plural(1, "has", "have"): "has", Plural(0, "has", "have"): "have",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
