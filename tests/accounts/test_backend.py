"""A request loads the person and their permissions at once, and always as they are now."""

from __future__ import annotations

from django.contrib.auth import get_user
from django.contrib.auth.models import Group, Permission
from django.http import HttpRequest

from portal.accounts import roles
from portal.accounts.backend import Backend
from portal.accounts.models import User


def loaded(user: User) -> User:
    found = Backend().get_user(user.pk)
    assert found is not None
    return found


def test_person_and_permissions_come_in_one_query(agent, django_assert_num_queries):
    expected = User.objects.get(pk=agent.pk).get_group_permissions()
    with django_assert_num_queries(1):
        user = loaded(agent)
        assert user.get_all_permissions() == expected
        assert user.has_perm(roles.SEE)
        assert not user.has_perm(roles.ADMINISTER)


def test_permissions_of_several_groups_and_of_the_person_add_up(make_person):
    person = make_person("both", roles.AGENT, roles.AUDITOR)
    person.user_permissions.add(Permission.objects.get(codename="manage_any_invitation"))
    user = loaded(person)
    assert {roles.SEE, roles.CREATE, roles.AUDIT_ALL, roles.MANAGE_ANY} <= user.get_all_permissions()


def test_a_person_without_a_role_has_no_permission(outsider):
    assert loaded(outsider).get_all_permissions() == set()


def test_a_taken_role_counts_at_the_next_load(agent):
    agent.groups.remove(Group.objects.get(name=roles.AGENT))
    assert not loaded(agent).has_perm(roles.SEE)


def test_a_superuser_may_do_everything_and_a_disabled_one_is_nobody(make_person):
    root = make_person("root", is_superuser=True)
    assert loaded(root).has_perm(roles.ADMINISTER)
    User.objects.filter(pk=root.pk).update(is_active=False)
    assert Backend().get_user(root.pk) is None


def test_an_unknown_person_is_nobody(db):
    assert Backend().get_user(4_711) is None


def test_the_session_loads_people_this_way(agent, browser_of):
    request = HttpRequest()
    request.session = browser_of(agent).session
    assert "permission_names" in vars(get_user(request))
