"""A prepared read is the ORM's own statement, and sees the row as it is now."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.models import Value
from django.db.models.functions import Concat
from django.test.utils import CaptureQueriesContext

from portal.accounts.models import User
from portal.prepared import ByKey


def test_it_reads_what_the_orm_reads_in_the_same_words(agent):
    people = ByKey(User.objects.all)
    people.get(agent.pk)
    with CaptureQueriesContext(connection) as queries:
        assert people.get(agent.pk) == User.objects.filter(pk=agent.pk).first()
    assert queries[1]["sql"].startswith(queries[0]["sql"])


def test_it_keeps_no_row(agent):
    people = ByKey(User.objects.all)
    assert people.get(agent.pk).first_name == "Mika"
    User.objects.filter(pk=agent.pk).update(first_name="Max")
    assert people.get(agent.pk).first_name == "Max"


def test_a_missing_row_is_none(db):
    assert ByKey(User.objects.all).get(4_711) is None


def test_a_query_whose_key_is_not_last_is_refused(db):
    with pytest.raises(ValueError, match="last parameter"):
        ByKey(lambda: User.objects.order_by(Concat("username", Value("x")))).get(1)
