// Package control is how one process changes a copy that another one runs: penstock copy -R PID.
//
//	Send ──▶ {"rate":10485760} ──▶ a Unix socket with the process's id in its name ──▶ Serve ──▶ handle
//	     ◀── {"report":{…}}    ◀──                                                 ◀──
//
// A process that serves has a socket of its own, by whose name those find it who know its id. On Linux the name is
// abstract: it leaves no file behind, and is seen in one network namespace. On other Unixes it is a file in a
// directory that is its user's alone. Elsewhere there is no such thing, and all is [errors.ErrUnsupported].
//
// Who may talk to whom: users to their own processes, and root to all. On Linux the kernel vouches for both sides
// (SO_PEERCRED in unix(7)), so that nobody gets between who has taken a name that is not its own. Elsewhere the
// directory's permissions do.
//
// A connection is one request, which is a JSON object, the end of it, and one answer, likewise. Either side gives the
// other a few seconds.
package control
