package redis

import "nuthatch/internal/msg"

// A pool for reading alone (read_only) refuses what may write: commands with Redis's flag for
// that, scripts but those of EVAL_RO and the like, and learnt commands that servers do not call
// commands for reading.

// readOnlyPool is Redis's error of a replica, as clients know it.
const readOnlyPool = "READONLY You can't write against a read only replica."

// refuse has Local answer the request, with the reason why.
func (p *requestParser) refuse(why string) { p.req.Treatment, p.req.Error = msg.Local, why }

// refuseWrite is refuse for a request that may write.
func (p *requestParser) refuseWrite() {
	p.refuse(readOnlyPool)
	p.req.ReadOnly = true
}
