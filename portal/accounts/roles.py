"""Who may do what, as data: the four roles and the permissions their groups get."""

AGENT = "Agent"
TEAM_LEAD = "Team lead"
AUDITOR = "Auditor"
ADMINISTRATOR = "Administrator"

SEE = "invitations.see_board"
SEE_CODES = "invitations.see_codes"
CREATE = "invitations.create_invitation"
CONNECT = "invitations.connect_invitation"
MANAGE_OWN = "invitations.manage_own_invitation"
MANAGE_ANY = "invitations.manage_any_invitation"
AUDIT_OWN = "audit.view_own_events"
AUDIT_TEAM = "audit.view_team_events"
AUDIT_ALL = "audit.view_all_events"
ADMINISTER = "accounts.administer"

_WORK = frozenset({SEE, SEE_CODES, CREATE, CONNECT, MANAGE_OWN})
ROLES: dict[str, frozenset[str]] = {
    AGENT: _WORK | {AUDIT_OWN},
    TEAM_LEAD: _WORK | {MANAGE_ANY, AUDIT_TEAM},
    AUDITOR: frozenset({SEE, AUDIT_ALL}),
    ADMINISTRATOR: _WORK
    | {
        MANAGE_ANY,
        AUDIT_ALL,
        ADMINISTER,
        "accounts.add_user",
        "accounts.change_user",
        "accounts.view_user",
        "auth.view_group",
        "audit.view_event",
        "invitations.view_invitation",
        "invitations.view_policy",
        "invitations.change_policy",
    },
}
