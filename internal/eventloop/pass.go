package eventloop

import "nuthatch/internal/invariant"

// PassTo makes the open connection c, which has no stage and no output, the connection to of
// another handler, with a stage or without (nil). c is detached then, and its handler is
// called no more. It may be called from within c's OnData. What of those bytes is not the
// present handler's goes to the next one by Feed.
//
// It is for a connection that begins with something that is not its handler's, in front of
// a stage too.
func (c *Conn) PassTo(to *Conn, h Handler, st Stage) {
	invariant.Check(c.state == open && c.staged == nil && c.out.Len() == 0, "eventloop: passed on with output, or a stage")
	invariant.Check(to.state == detached && to.out.Len() == 0, "eventloop: passed on to a connection in use")
	l := c.loop
	to.loop, to.fd, to.handler = l, c.fd, h
	to.state, to.noRead, to.staged = open, false, nil
	l.engine.pass(c, to)
	c.state = detached
	if st != nil {
		w := &Wire{conn: to, loop: l, handler: h, stage: st}
		to.handler = w
		w.stands(false)
	}
}

// Feed gives the handler, through the stage if there is one, bytes that were received before
// it had the connection. It must follow PassTo at once.
func (c *Conn) Feed(b []byte) {
	switch w := c.staged; {
	case len(b) == 0:
	case w == nil:
		c.handler.OnData(b)
	default:
		// They wait until the stage has begun. Until then nothing is received.
		c.noRead, w.more = true, true
		w.back.Append(&c.loop.bufs, b)
	}
}
