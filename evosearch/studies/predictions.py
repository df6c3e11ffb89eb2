"""What a reading of the test split left: the answers of a trained network to each image, for who compares networks."""

from evosearch.errors import JournalError
from evosearch.storage import Home, Predictions, TestReading, unpack


def predictions_of(home: Home, reading: TestReading) -> Predictions | None:
    """What the network of `reading` answered; None where the reading has not ended, or is one that journals before schema 4
    hold: they have no labels.

    Raises:
        CannotRunError: they are in a file, which is missing or another by now.
        JournalError: the journal holds something else.
    """
    told = home.journal.test_predictions(reading.search, reading.key)
    if reading.test_key is None or told is None:
        return None
    store = home.store_of(home.find_search(reading.search)).within(reading.search)
    try:
        return unpack(told, reading.test_key, store)
    except (LookupError, TypeError, ValueError) as error:
        raise JournalError(
            f"the journal {home.journal.place} is damaged: the predictions of the reading {reading.key} of "
            f"{reading.search!r} are not whole ({error!r}); restore it from a copy"
        ) from error
