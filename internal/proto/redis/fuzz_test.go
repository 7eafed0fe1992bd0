package redis

import (
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

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

// FuzzCommands: whatever the words are, what is found out about a request holds
// together, and what is answered is replies.
func FuzzCommands(f *testing.F) {
	for i := range commands {
		f.Add(strings.ReplaceAll(commands[i].name, "|", "\n") + "\n" + strings.ReplaceAll(commands[i].example, " ", "\n"))
	}
	f.Add("command\ngetkeysandflags\nzunionstore\nd\n2\na\nb")
	f.Add("command\ninfo\nobject|freq\n|\nget")
	f.Add("xread\nblock\ncount\nstreams\nstreams\na\n0")
	f.Fuzz(func(t *testing.T, lines string) {
		words := strings.Split(lines, "\n")
		data := resp(words...)
		c := converse(t, Options{AllowFlush: true})
		n, done, err := c.parser.Parse(data)
		if n != len(data) || !done || err != nil {
			t.Fatal(n, done, err)
		}
		r := c.parser.Finish(mbuf.Flat(data))
		switch {
		case r.Treatment <= msg.Fragment:
			if r.Nkeys < 1 || r.KeyStep < 1 || r.FirstKey < 1 || r.FirstKey+(r.Nkeys-1)*r.KeyStep >= len(r.Args) {
				t.Fatalf("%d keys from %d by %d of %d words", r.Nkeys, r.FirstKey, r.KeyStep, len(r.Args))
			}
		case r.Treatment == msg.Quit:
		case r.Treatment == msg.Local:
			c.proto.Local(r, &c.session, &c.pool, &c.out)
			answer := c.out.AppendTo(nil)
			c.out.Release(&c.pool)
			if w := refReplies(answer); len(w.sizes) != 1 || w.sizes[0] != len(answer) {
				t.Fatalf("the answer is not one reply: %.200q", answer)
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
