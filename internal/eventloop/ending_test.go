package eventloop

import "testing"

// While reading is paused the handler is told, once, that the peer will send no more;
// what it has sent, and its end, come when reading goes on.
func TestEnding(t *testing.T) { eachEngine(t, testEnding) }

func testEnding(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		ends := map[string]func(*peer){"half": (*peer).endWriting}
		if kind == "tcp" {
			ends["whole"] = (*peer).close // which breaks a unix socket, and is an error
		}
		for name, end := range ends {
			t.Run(name, func(t *testing.T) {
				r := newRig(t)
				c, far := r.pair(kind)
				c.PauseRead()
				far.write("last")
				r.step()
				if c.endings != 0 {
					t.Error("the end is told before it came")
				}
				end(far)
				r.until("the end is told", func() bool { return c.endings > 0 })
				c.wantLog()
				c.ResumeRead()
				r.until("all is read", func() bool { return len(c.log) == 2 })
				c.wantLog("data", "eof")
				if c.endings != 1 {
					t.Errorf("the end was told %d times", c.endings)
				}
			})
		}
	})
}

// An end that comes with the bytes before it is told too, if those have the handler
// pause.
func TestEndingBehindData(t *testing.T) { eachEngine(t, testEndingBehindData) }

func testEndingBehindData(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		r := newRig(t)
		c, far := r.pair(kind)
		c.onData = func([]byte) { c.PauseRead() }
		far.write("last")
		far.endWriting()
		r.until("the end is told", func() bool { return c.endings > 0 })
		c.wantLog("data")
		c.ResumeRead()
		r.until("it is read", func() bool { return len(c.log) == 2 })
		c.wantLog("data", "eof")
	})
}

// Nobody is told of an end that is read at once.
func TestNoEndingWhenRead(t *testing.T) { eachEngine(t, testNoEndingWhenRead) }

func testNoEndingWhenRead(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *fakeRig) {
		c, far := r.joined()
		far.write(t, "last")
		far.CloseWrite()
		r.calm()
		c.wantLog("data", "eof")
		if c.endings != 0 {
			t.Errorf("the end was told %d times beforehand", c.endings)
		}
	})
}

func TestFakeEnding(t *testing.T) { eachEngine(t, testFakeEnding) }

func testFakeEnding(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *fakeRig) {
		c, far := r.joined()
		c.PauseRead()
		far.write(t, "last")
		far.CloseWrite()
		r.calm()
		c.wantLog()
		c.ResumeRead()
		r.calm()
		c.wantLog("data", "eof")
		if c.endings != 1 {
			t.Errorf("the end was told %d times", c.endings)
		}
	})
}
