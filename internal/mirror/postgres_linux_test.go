package mirror_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// postgres runs a server of PostgreSQL, whose user bench may do everything, and returns where.
func postgres(t *testing.T) (port string) {
	t.Helper()
	bin := postgresPrograms(t)
	dir, err := os.MkdirTemp("", "penstock-postgres-") // which another user can reach
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	var as []string
	if os.Geteuid() == 0 { // as whom the server does not run
		command(t, "chown", "postgres", dir)
		as = []string{"setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"}
	}
	initdb := append(slices.Clone(as), bin+"/initdb", "-D", dir+"/data", "-U", "bench", "-A", "trust", "--no-sync")
	command(t, initdb[0], initdb[1:]...)
	addr, port := free(t)
	server := append(slices.Clone(as), bin+"/postgres", "-D", dir+"/data", "-p", port, "-h", "127.0.0.1", "-k", dir, "-F")
	daemon(t, addr, server[0], server[1:]...)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) { // it listens before it answers
		err := exec.Command("pg_isready", "-q", "-h", "127.0.0.1", "-p", port, "-U", "bench").Run()
		if err == nil {
			return port
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// postgresPrograms is the folder of the server's programs, which Debian keeps away from people's.
func postgresPrograms(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil { // they are beside each other
			return filepath.Dir(path)
		}
	}
	all, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(all) == 0 {
		t.Skip("no initdb, of PostgreSQL")
	}
	return filepath.Dir(all[len(all)-1])
}

// TestPostgresThroughARelay is of pgbench, whose books have to balance, and of rows that have to be the same through
// the relay and beside it.
func TestPostgresThroughARelay(t *testing.T) {
	t.Parallel()
	need(t, "psql", "pgbench", "pg_isready")
	port := postgres(t)
	by := func(port string) []string {
		return []string{"-h", "127.0.0.1", "-p", port, "-U", "bench", "-d", "postgres"}
	}
	beside := by(port)
	sql := func(by []string, statements ...string) string {
		args := append(slices.Clone(by), "-At", "-v", "ON_ERROR_STOP=1")
		for _, one := range statements {
			args = append(args, "-c", one)
		}
		return command(t, "psql", args...)
	}
	command(t, "pgbench", append(slices.Clone(beside), "-i", "-I", "dtGp", "-q")...)
	ways(t, func(t *testing.T, noSplice bool) {
		through := by(portOf(t, witness(t, "127.0.0.1:"+port, noSplice).addr))
		sql(through, "truncate pgbench_history", "update pgbench_accounts set abalance = 0 where abalance <> 0",
			"update pgbench_branches set bbalance = 0", "update pgbench_tellers set tbalance = 0")
		for _, protocol := range []string{"simple", "extended", "prepared"} {
			out := command(t, "pgbench", append(slices.Clone(through), "-n", "-c", "4", "-t", "25", "-M", protocol)...)
			if !strings.Contains(out, "100/100") {
				t.Errorf("%s", out)
			}
		}
		const balance = `select count(*), sum(delta) = (select sum(abalance) from pgbench_accounts),
			sum(delta) = (select sum(bbalance) from pgbench_branches),
			sum(delta) = (select sum(tbalance) from pgbench_tellers) from pgbench_history`
		if got := strings.TrimSpace(sql(beside, balance)); got != "300|t|t|t" {
			t.Errorf("the books do not balance: %q", got)
		}
		const accounts = "copy (table pgbench_accounts order by aid) to stdout (format binary)"
		whole := sql(beside, accounts)
		if got := sql(through, accounts); got != whole || len(got) < 9<<20 {
			t.Errorf("%d bytes of %d are read, or others", len(got), len(whole))
		}
		rows := []string{
			"table pgbench_branches", "table pgbench_tellers order by tid",
			"table pgbench_history order by mtime, tid, aid, delta",
		}
		if got, want := sql(through, rows...), sql(beside, rows...); got != want || strings.Count(got, "\n") != 311 {
			t.Errorf("%d bytes of %d are read, or others", len(got), len(want))
		}
		back := filepath.Join(t.TempDir(), "accounts")
		write(t, back, whole)
		sql(through, "drop table if exists back", "create table back (like pgbench_accounts)",
			"\\copy back from '"+back+"' (format binary)")
		const differing = `select count(*), count(*) filter (where a.aid is null or b.aid is null or a::text <> b::text)
			from pgbench_accounts a full join back b using (aid)`
		if got := strings.TrimSpace(sql(beside, differing)); got != "100000|0" {
			t.Errorf("other rows are written: %q", got)
		}
	})
}
