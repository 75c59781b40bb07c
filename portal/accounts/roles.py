"""Who may do what, as data: the four roles as they are delivered, and the actions a role may be given.

Administrators change the first three and add roles of their own (`portal.accounts.admin.role_table`),
always out of `ACTIONS`. Administering is in no list: only the Administrator role has it, for ever.
"""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

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

_KEPT = {"accounts": ("team",), "invitations": ("outcome", "messagetemplate", "webhook")}  # by administrators alone
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
        "invitations.view_delivery",
        *(f"{app}.{verb}_{m}" for app, ms in _KEPT.items() for m in ms for verb in ("add", "change", "delete", "view")),
    },
}

ACTIONS: tuple[tuple[Promise, dict[str, Promise]], ...] = (
    (
        _("Board"),
        {
            SEE: _("See the board, invitations and history"),
            SEE_CODES: _("See codes, links and pictures of desktops"),
        },
    ),
    (
        _("Clients"),
        {
            CREATE: _("Create invitations"),
            CONNECT: _("Connect to a client’s desktop"),
            MANAGE_OWN: _("Rename and close own invitations"),
            MANAGE_ANY: _("Rename and close everybody’s invitations"),
        },
    ),
    (
        _("Audit log"),
        {
            AUDIT_OWN: _("See own actions in the audit log"),
            AUDIT_TEAM: _("See the team’s actions in the audit log"),
            AUDIT_ALL: _("See, check and export the whole audit log"),
        },
    ),
)
LABELS: dict[str, Promise] = {name: label for _group, actions in ACTIONS for name, label in actions.items()}
# Without the board there is nothing that these could be done with.
NEED_BOARD = frozenset({SEE_CODES, CREATE, CONNECT, MANAGE_OWN, MANAGE_ANY})
