from jobs.breaker import FEWEST, LONGEST_WAIT, PATIENCE, Breaker


def opened(now=0.0):
    breaker = Breaker()
    for number in range(FEWEST):
        breaker.failed(f"{number}", now)
    return breaker


def test_closed_it_lets_fill_the_window():
    assert [Breaker().room(flying, 6, 0) for flying in (0, 4, 6, 9)] == [6, 2, 0, 0]


def test_the_same_shard_failing_over_and_over_does_not_open_it():
    breaker = Breaker()
    for now in range(100):
        breaker.failed("one", now)
    assert not breaker.is_open
    assert not breaker.down


def test_shard_after_shard_failing_opens_it_unless_one_succeeds_in_between():
    breaker = Breaker()
    for number in range(50):
        breaker.failed(f"{number}", number)
        if number % 2:
            breaker.succeeded()
    assert not breaker.is_open
    assert opened().is_open


def test_open_it_lets_one_task_through_at_a_time_after_a_wait_that_grows():
    breaker, now, waits = opened(), 0.0, []
    for _ in range(6):
        wait = breaker.until(now)
        assert [breaker.room(0, 6, now + wait - 0.01), breaker.room(0, 6, now + wait)] == [0, 1]
        assert breaker.room(1, 6, now + wait) == 0
        waits.append(wait)
        now += wait
        breaker.failed("another", now)
    assert waits == [1, 2, 4, LONGEST_WAIT, LONGEST_WAIT, LONGEST_WAIT]


def test_a_success_closes_it():
    breaker = opened()
    breaker.succeeded()
    assert breaker.room(0, 6, 0) == 6
    assert breaker.until(0) == 0


def test_storage_is_down_after_nothing_but_failures_for_so_long():
    breaker = opened()
    breaker.failed("x", PATIENCE - 1)
    assert not breaker.down
    breaker.failed("x", PATIENCE)
    assert breaker.down
    assert breaker.room(0, 6, 1e9) == 0


def test_what_waiting_does_not_mend_is_down_at_once():
    breaker = Breaker()
    breaker.failed("x", 0, hopeless=True)
    assert breaker.down
