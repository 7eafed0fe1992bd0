package admin

import (
	"slices"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/stats"
)

// Windows are what "recent" can mean, whoever asks. The first is the default.
//
//	records      ●─────────●──── ... ───●──────●────── ... ──────●───────●●●●●●●●●●●
//	10 minutes   ├──────────────────────────────── to a minute ──┤
//	1 minute                                   ├── to ten seconds ───────┤
//	10 seconds                                                           ├─────────┤ to a second
//
// A window is from one record to another, so that it is as long as it says: it ends with a whole
// second, ten seconds or minute. A younger process has all of its time as a window.
var Windows = []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute}

// steps are what the ends of Windows are multiples of: for each as few records are kept.
var steps = []time.Duration{time.Second, 10 * time.Second, time.Minute}

// recordCost bounds the time for records: one that takes long is followed by a pause of
// recordCost times as long.
const recordCost = 100

// recordPeriods are the times that there may be between two records. The shortest window needs
// two of them, a period apart or more.
var recordPeriods = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute}

// recordEvery is the time between two records, if one takes so long: as little as cost and
// memory allow. Of the memory a quarter is for the records of the shortest window, if these
// are more than three.
func (r *Recorder) recordEvery(took time.Duration) time.Duration {
	r.mu.Lock()
	size := int64(0)
	for _, one := range r.records[max(0, len(r.records)-2):] {
		size = max(size, one.size)
	}
	memory := r.memory
	r.mu.Unlock()
	for _, period := range recordPeriods {
		within := int64(Windows[0]/period) + 1
		if period >= recordCost*took && (within <= 3 || within*size <= memory/4) {
			return period
		}
	}
	return recordPeriods[len(recordPeriods)-1]
}

// nextRecord is the first multiple of a period after a second.
func nextRecord(second time.Time, period time.Duration) time.Time {
	return second.Truncate(period).Add(period)
}

// thin drops records that no window can begin or end with any more. The first of a process
// stays for as long as a window can begin with it.
func thin(records []*record) []*record {
	first, last := records[0], records[len(records)-1]
	return slices.DeleteFunc(records, func(one *record) bool {
		age := last.second.Sub(one.second)
		for i, of := range Windows {
			if age <= of+steps[i]-time.Second && (one == first || one.ends(steps[i])) {
				return false
			}
		}
		return one != last
	})
}

// ends reports whether the record is of the end of a step.
func (c *record) ends(step time.Duration) bool { return c.second.Truncate(step).Equal(c.second) }

// between are the records that a window is between. They are the same one if there is only one.
func (r *Recorder) between(of time.Duration) (since, until *record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	step := steps[max(slices.Index(Windows, of), 0)]
	since, until = r.records[0], r.records[len(r.records)-1]
	if until.second.Sub(since.second) <= of {
		return since, until
	}
	for _, one := range slices.Backward(r.records) {
		if one.ends(step) {
			until = one
			break
		}
	}
	return r.nearest(until, of), until
}

// before is the record that a window begins with that ends with a new record.
func (r *Recorder) before(until *record, of time.Duration) *record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.nearest(until, of)
}

// nearest is the record that is nearest to the beginning of a window. The caller holds mu.
func (r *Recorder) nearest(until *record, of time.Duration) *record {
	since := r.records[0]
	for _, one := range r.records {
		if one != until && far(one, until, of) < far(since, until, of) {
			since = one
		}
	}
	return since
}

// far is by how much the time between two records differs from a window.
func far(since, until *record, of time.Duration) time.Duration {
	return (until.second.Sub(since.second) - of).Abs()
}

// A window is what happened between two records.
type window struct {
	since, until *record
	names        []string // of errors
}

// windowOf is a window. As long as there is no second record it ends with a snapshot that was
// taken at a time.
func (r *Recorder) windowOf(snap *stats.Snapshot, at time.Time, of time.Duration) *window {
	since, until := r.between(of)
	if since == until {
		until = &record{at: at, second: at, counts: countsOf(snap)}
	}
	return &window{since, until, snap.ErrorNames}
}

// seconds is how long the window is.
func (w *window) seconds() float64 { return w.until.at.Sub(w.since.at).Seconds() }

// shown says which seconds the window has.
func (w *window) shown() *api.Window {
	return &api.Window{Seconds: w.seconds(), Since: w.since.at, Until: w.until.at}
}
