package redis

import "testing"

// cutsFrom makes ascending cuts below n from steps.
func cutsFrom(steps []byte, n int) []int {
	var cuts []int
	at := 0
	for _, s := range steps {
		at += int(s)
		if at >= n {
			break
		}
		cuts = append(cuts, at)
	}
	return cuts
}

// FuzzRequestParser: read in one piece, byte by byte, or in any steps, the bytes
// hold the requests, and end in the error, that the reference finds.
func FuzzRequestParser(f *testing.F) {
	for _, text := range transcripts {
		f.Add([]byte(text), []byte{1, 3, 2}, uint16(0))
		f.Add([]byte(text), []byte{7}, uint16(40))
	}
	f.Fuzz(func(t *testing.T, data, steps []byte, limit uint16) {
		maximum := int(limit)
		if maximum == 0 {
			maximum = 1 << 30
		}
		want := refRequests(data, maximum)
		for _, cuts := range [][]int{nil, everyByte(len(data)), cutsFrom(steps, len(data))} {
			if err := same(found(t, data, maximum, cuts), want); err != nil {
				t.Errorf("split at %v: %v", cuts, err)
			}
		}
	})
}

// FuzzReplyParser does the same for replies.
func FuzzReplyParser(f *testing.F) {
	for _, text := range replyTranscripts {
		f.Add([]byte(text), []byte{1, 3, 2})
	}
	f.Fuzz(func(t *testing.T, data, steps []byte) {
		want := refReplies(data)
		for _, cuts := range [][]int{nil, everyByte(len(data)), cutsFrom(steps, len(data))} {
			if err := sameReplies(data, cuts, want); err != nil {
				t.Errorf("split at %v: %v", cuts, err)
			}
		}
	})
}
