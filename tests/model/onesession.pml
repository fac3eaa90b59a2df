/*
 * The rule of one live session (daemon/session/rule.c) as a model that spin searches exhaustively: every interleaving of
 * the statements of a few devices, with a crash possible at every step.
 *
 * State. One account. A session is its number in the sequence login_order, which is never behind: the trigger
 * number_login ensures that (tests/system/daemon/rule/test_sequences.py). `row[i]`: sessions has such a row, as every transaction
 * reads it now (READ COMMITTED: what a transaction writes is visible to others when it commits, all at once, and each
 * statement sees what is committed when it begins). `stored`: the session whose key logged_in_user holds. `lock`: the row
 * of logged_in_user, which rule_login(), reconcile() and rule_logout() hold until they commit. Another program's INSERT
 * takes its number first and commits later, without that lock. A crash is that of a worker or of its connection: before
 * COMMIT the server rolls back, which releases the lock; after it the client gets no answer.
 *
 * Properties:
 *   - never more live than the limit: after each commit, no more sessions than LIMIT would be accepted
 *     (live_at_most_limit);
 *   - an older session never displaces or outlives a newer one: a session that is beyond the limit after a confirmed
 *     login, or after an accepted request, and one that was once refused, is never accepted by a request that began after
 *     that (`out`); and the newest one is accepted, whatever the others do, until it logs out (the assertion at the end
 *     of hook());
 *   - no request waits for ever: there is no state in which a process waits and none can go on (spin's invalid end
 *     states). A worker may die instead of waiting, but its death is never needed to release a waiting one. There is no
 *     livelock: no process here has a loop, so each that can always go on ends.
 *
 * Left out: expiry and idle time-outs (a session that expires is a row less, as after a logout), the policy that may
 * refuse a login (it then writes nothing), touch (it writes no column that is read here), and more accounts, except for
 * the one transaction that locks two of them: -DSWAP.
 *
 * -DLIMIT=2 for accounts that may have two; -DOUTSIDE: one device is another program; -DTAB: one of three is a second
 * request of the first browser, and the stored key may be lost; -DFEW: one device less. -DMUTATE_... breaks the rule in
 * one place; each must be found (tests/system/packages/test_model.py).
 */
#ifndef LIMIT
#define LIMIT 1
#endif

#define N 3 /* sessions in all */
#define ALL 255

bool row[N + 1];
byte order[N + 1]; /* the login number, by which a session is newer than another */
byte stored;       /* 0: no key */
byte sequence;
bool lock;

/* For the properties only; no process reads these to decide. */
bool is_known[N + 1];   /* has been committed: a browser may have the key */
bool is_confirmed[N + 1]; /* the login has been answered */
bool is_leaving[N + 1]; /* a logout has begun */
bool out[N + 1];

mtype = { GONE, LIVE, ENDS, AHEAD };

/* As evaluate() in rule.c. */
inline evaluate(i, standing)
{
	newer = 0;
	for (k : 1 .. N) {
		if
		:: row[k] && order[k] > order[i] -> newer++
		:: else
		fi
	}
	if
	:: stored != 0 && stored != i && order[stored] > order[i] && newer == 0 -> newer = 1
	:: else
	fi;
	if
	:: !row[i] -> standing = GONE
#ifdef MUTATE_LAST_REQUEST_WINS
	:: row[i] && stored == i -> standing = LIVE
	:: row[i] && stored != i -> standing = AHEAD
#else
	:: row[i] && newer >= LIMIT -> standing = ENDS
	:: row[i] && newer < LIMIT && (stored == i || (stored != 0 && order[stored] > order[i])) -> standing = LIVE
	:: row[i] && newer < LIMIT && !(stored == i || (stored != 0 && order[stored] > order[i])) -> standing = AHEAD
#endif
	fi
}

/*
 * As sql_end_beyond_limit: which rows are not among the newest, `mine` included? Rows after `last` are not a login's to
 * end.
 */
inline find_beyond_limit(mine, last)
{
	for (j : 1 .. N) {
		newer = 0;
		for (k : 1 .. N) {
			if
			:: (row[k] || k == mine) && order[k] > order[j] && order[k] <= last -> newer++
			:: else
			fi
		}
		ends[j] = (row[j] || j == mine) && order[j] <= last && newer >= LIMIT;
#ifdef MUTATE_LAST_REQUEST_WINS
		ends[j] = false;
#endif
	}
}

inline live_at_most_limit()
{
	count = 0;
	for (j : 1 .. N) {
		evaluate(j, seen);
		if
		:: seen == LIVE || seen == AHEAD -> count++
		:: else
		fi
	}
	assert(count <= LIMIT)
}

/*
 * Other processes may run between any two of the steps below, and the worker may die where it goes to `crashed`. Here it
 * does so before it waits, which is the same to others; if it could die while it waits, no deadlock would be found.
 */
inline take_lock()
{
	if
	:: skip
	:: goto crashed
	fi;
	atomic { !lock -> lock = true; holds = true }
}

/*
 * Another program's row is a login when it commits, and may do so while this request is under way. Logins and logouts are
 * ordered by the lock.
 */
#ifdef OUTSIDE
#define WAS_KNOWN(j) was_known[j]
#else
#define WAS_KNOWN(j) is_known[j]
#endif

/* A session that was known when this request began, and is beyond the limit now, may never be accepted again. */
inline displaced_are_out(i)
{
	for (j : 1 .. N) {
		newer = 0;
		for (k : 1 .. N) {
			if
			:: row[k] && order[k] > order[j] -> newer++
			:: else
			fi
		}
		if
		:: j < i && WAS_KNOWN(j) && (!row[j] || newer >= LIMIT) -> out[j] = true
		:: else
		fi
	}
}

inline note_known()
{
#ifdef OUTSIDE
	for (j : 1 .. N) {
		was_known[j] = is_known[j]
	}
#endif
	skip
}

inline login(me)
{
	d_step { note_known(); skip }
#ifndef MUTATE_NO_LOCK
	take_lock();
#endif
	d_step {
		sequence++;
		me = sequence;
		order[me] = me;
		skip
	}
#ifdef MUTATE_CLOCK_ORDER
	/* A clock that was set back. */
	if
	:: order[me] = 0
	:: skip
	fi;
#endif
	d_step { find_beyond_limit(me, order[me]); skip }
	if
	:: d_step {
		row[me] = !ends[me];
		is_known[me] = true;
		for (j : 1 .. N) {
			if
			:: ends[j] -> row[j] = false
			:: else
			fi
		}
		stored = me;
#ifndef MUTATE_NO_LOCK
		lock = false;
		holds = false;
#endif
		live_at_most_limit();
		skip
	   }
	:: goto crashed
	fi;
	if
	:: skip
	:: goto crashed /* committed, but not answered */
	fi;
	d_step {
		is_confirmed[me] = true;
		displaced_are_out(me);
		skip
	}
}

/* The hook of a request with the key of session i. */
inline hook(i)
{
	d_step {
		was_out = out[i];
		note_known();
		skip
	}
	d_step {
		evaluate(i, standing);
		if
		:: standing == LIVE && !is_leaving[i] -> displaced_are_out(i)
		:: else
		fi;
		skip
	}
	if
	:: standing == ENDS || standing == AHEAD ->
		take_lock();
		d_step { evaluate(i, standing); skip }
		if
		:: standing == AHEAD -> d_step {
#ifdef MUTATE_LAST_REQUEST_WINS
			for (j : 1 .. N) {
				ends[j] = (j != i)
			};
#else
			find_beyond_limit(0, ALL);
#endif
			skip
		   }
		:: standing == ENDS -> d_step {
			for (j : 1 .. N) {
				ends[j] = (j == i)
			};
		skip
		   }
		:: else -> d_step {
			for (j : 1 .. N) {
				ends[j] = false
			};
		skip
		   }
		fi;
		if
		:: d_step {
			if
			:: standing == AHEAD && row[i] -> stored = i
			:: else
			fi;
			for (j : 1 .. N) {
				if
				:: ends[j] -> row[j] = false
				:: else
				fi
			}
			lock = false;
			holds = false;
			live_at_most_limit();
		skip
		   }
		:: goto crashed
		fi
	:: else
	fi;
	d_step {
		if
		:: standing == LIVE || standing == AHEAD -> assert(!was_out)
		:: else ->
			/* Without a newer session and a logout it has to be accepted. */
			assert(!(is_confirmed[i] && sequence - i < LIMIT && !is_leaving[i]));
			out[i] = true
		fi;
		skip
	}
}

/* As end_stragglers() and the rest of a logout: sessions beyond the limit end before the live one does. */
inline logout(i)
{
	is_leaving[i] = true;
	take_lock();
	d_step {
		evaluate(i, standing);
		if
#ifndef MUTATE_STRAGGLERS_STAY
		:: standing == LIVE || standing == AHEAD -> find_beyond_limit(i, ALL)
#endif
		:: else ->
			for (j : 1 .. N) {
				ends[j] = false
			}
		fi;
		skip
	}
	if
	:: d_step {
#ifdef MUTATE_LOGOUT_CLEARS_ANY
		/* A displaced device ends the account's live session. */
		for (j : 1 .. N) {
			row[j] = false
		}
		stored = 0;
#else
		for (j : 1 .. N) {
			if
			:: ends[j] || j == i -> row[j] = false
			:: else
			fi
		}
		if
		:: stored == i -> stored = 0
		:: else
		fi;
#endif
		lock = false;
		holds = false;
		out[i] = true;
		live_at_most_limit();
		skip
	   }
	:: goto crashed
	fi
}

/* The server rolls back the transaction. */
inline roll_back()
{
#ifndef MUTATE_CRASH_KEEPS_LOCK
	if
	:: holds -> lock = false
	:: else
	fi;
#endif
	skip
}

#define WORK byte j, k, newer, count; bool ends[N + 1]; mtype standing, seen; bool was_out, holds, was_known[N + 1]

/* A device that signs in, sends a request, perhaps signs out, and sends another. */
proctype Device()
{
	WORK;
	byte me;

	login(me);
	hook(me);
	if
	:: logout(me)
	:: skip
	fi;
	hook(me);
	goto done;
crashed:
	roll_back();
done:
	skip
}

/* Another program's INSERT, and a device with that key. */
proctype Outsider()
{
	WORK;
	byte me;

	d_step {
		sequence++;
		me = sequence;
		order[me] = me;
		skip
	}
	d_step {
		row[me] = true;
		is_known[me] = true;
		live_at_most_limit();
		skip
	}
	hook(me);
	hook(me);
	goto done;
crashed:
	roll_back();
done:
	skip
}

#ifdef TAB
/* A second tab of the first browser, whose requests are concurrent with the first tab's. */
proctype Tab()
{
	WORK;

end_no_login:
	is_known[1] -> hook(1);
	if
	:: atomic { !lock -> stored = 0 } /* an operator, or a backup put back */
	:: skip
	fi;
	hook(1);
	goto done;
crashed:
	roll_back();
done:
	skip
}
#endif

#ifdef SWAP
/*
 * Two browsers that are each signed in to one account sign in to the other's, which ends the session that they had:
 * login_lock_accounts() in login_steps.c.
 */
bool locked[2];

proctype Swapper(byte from, to)
{
	byte first, second;

#ifdef MUTATE_LOCK_ORDER
	first = to;
	second = from;
#else
	first = (from < to -> from : to);
	second = (from < to -> to : from);
#endif
	atomic { !locked[first] -> locked[first] = true }
	atomic { !locked[second] -> locked[second] = true }
	d_step {
		locked[first] = false;
		locked[second] = false;
		skip
	}
}
#endif

init {
	atomic {
#ifdef SWAP
		run Swapper(0, 1);
		run Swapper(1, 0);
#else
		run Device();
#ifndef FEW
		run Device();
#endif
#if defined(OUTSIDE)
		run Outsider();
#elif defined(TAB)
		run Tab();
#else
		run Device();
#endif
#endif
	}
}
