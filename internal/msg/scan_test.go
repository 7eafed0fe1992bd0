package msg

import "testing"

// A place is in a cursor as it was, in both layouts; in the second one it began up to 256 seconds
// earlier.
func TestScanPlace(t *testing.T) {
	const now = 1_800_000_000 * 16
	for _, began := range []int64{now, now - 1, now - 100_000, now - 4_000_000, now + 60*16, now - now%scanWrap, now - now%scanWrap + 1} {
		for _, tag := range []int{0, 1, 77, 4095} {
			for _, back := range []bool{false, true} {
				p := ScanPlace{Began: began, Tag: tag, Back: back}
				want := p
				if began%scanWrap == 0 {
					want.Began++
				}
				if got, base := ScanPlaceOf(p.Cursor(), now); got != want || base != ScanShort {
					t.Errorf("%+v: %+v, %d", p, got, base)
				}
				got, base := ScanPlaceOf(7<<24%ScanShort|LongScan(p.Cursor()), now)
				if got.Began > began || got.Began <= began-256*16 || got.Tag != tag || got.Back != back || base != ScanLong {
					t.Errorf("long: %+v: %+v, %d", p, got, base)
				}
			}
		}
	}
}
