"""The node itself: who may do what, keys, secrets, the database."""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    # -- who may do what
    "no_role": "user {user} has no role on this node: an administrator adds it to operators.viewer,"
    " operators.approver or operators.admin in node.toml",
    "role_too_low": "{user} is {role} on this node and this needs {needed}: ask an administrator (operators in"
    " node.toml)",
    "changed_meanwhile": "{what} changed meanwhile; try again",
    "token_taken": "there is a token {name} already: choose another name, or revoke that one first",
    # -- keys, secrets, the database
    "secret_size": "the secret {name} must have 1 to {most} bytes",
    "secret_unknown": "there is no secret {name}: store it with `nodeconsole secret set NAME`",
    "token_name": "the name of a token has 1 to 64 letters, digits, '.', '_' or '-' and begins with no sign",
    "token_scope": "a scope is one of {known} (got {value})",
    "token_life": "a token lasts more than no time and at most 10 years; leave it out for one without end",
    "token_unknown": "there is no token {name} to revoke: `nodeconsole token list` shows all",
    "console_of_machine": "the console is for users of this machine: connect to the node's socket",
    "number_between": "{name} must be a whole number from {low} to {high}",
    "no_valid_text": "{what} is not valid text",
    "certificate_no_pem": "this is not a certificate in PEM",
    "certificate_other_key": "this certificate is of another key: let the CA sign `nodeconsole identity export --csr`",
    "certificate_dates": "this certificate is not valid today: look at its dates and at this machine's clock",
    "certificate_unreadable": "{path} cannot be read as a certificate: remove {name}, then rotate again",
    "passphrase_unreadable": "the passphrase file {path} cannot be read: {error}",
    "identity_not_created": "cannot create the identity in {path}: {error}",
    "identity_missing": "{path} is missing: run `nodeconsole init --home {home}`",
    "unreadable_short": "cannot read {path}: {error}",
    "path_no_pem": "{path} is not a certificate in PEM",
    "identity_mismatch": "{path} does not belong to {key}: one of the two was replaced alone",
    "key_sealed": "{path} {wanted} (identity.passphrase_file, or a credential of the service)",
    "key_not_opened": "{path} cannot be opened: wrong passphrase, or not a key in PEM",
    "key_no_ed25519": "{path} is not an Ed25519 key",
    "data_key_short": "the data key has {count} characters; it needs at least {least}",
    "secret_sealed": "the secret {name} cannot be opened: it was changed, or sealed with another data key; set it"
    " again with `nodeconsole secret set {name}`",
    "data_key_missing": "the data key {path} is missing: put it back from where you keep it, or set the secrets again"
    " with `nodeconsole secret set NAME`",
    "credential_missing": 'secrets.key is "systemd" and there is no credential {name}: add'
    " LoadCredentialEncrypted={name}:FILE to the service",
    "credential_unreadable": "the credential {name} cannot be read: {error}",
    "keyring_missing": 'secrets.key is "keyring" and the Python package keyring is not installed beside the node:'
    ' install it, or set secrets.key = "file"',
    "keyring_locked": "the keyring cannot be used: {error}; is it unlocked?",
    "keyring_empty": "the keyring holds no data key of {account}: set a secret to make one",
    "database_closed": "the database is closed: the node is stopping",
    "database_not_opened": "{path} cannot be opened or created ({error}): check that its directory exists, that this"
    " user may write there, and that there is space",
    "commit_failed": "another request in the same commit failed: nothing was stored; try again",
    "database_no_memory": "{path} lies on a file system without shared memory: move the node's home to a local disk",
    "database_foreign": "{path} is not a database of nodeconsole: name another home, or move this file away",
    "database_newer": "{path} was written by a newer nodeconsole (schema {version}, this program knows {known}): run"
    " that version, or restore a backup of schema {known} or lower from {backups}",
    "migration_dangling": "migration {migration} would leave dangling references in {what}: nothing changed",
    # -- the database and files of secrets
    "database_full": "the disk of {path} is full: nothing was stored; free space there, then try again",
    "database_disk": "the disk of {path} refused to read or write ({fault}): nothing was stored; check free space,"
    " quota and the disk itself, then try again",
    "database_read_only": "{path} cannot be written: give this user write permission on it and on its directory",
    "database_cannot_open": "{path} cannot be opened: check that its directory exists and that this user may write"
    " there",
    "database_locked": "{path} is locked by another program: stop the other node (or the tool that has it open)",
    "database_failed": "the database {path} failed: {error} ({fault})",
    "database_corrupted": "{path} is corrupted ({fault}): stop the node, keep the file for a diagnosis, and {remedy}",
    "database_restore_newest": "restore the newest backup, {backup}",
    "database_restore_some": "restore a copy of it (there is none in {backups})",
    "file_open_to_others": "{path} can be read by others (mode {mode}): run `chmod 600 {path}`",
    "file_no_secret": "{path} holds no secret: remove it and run `nodeconsole init --home {home}`",
    "file_exists": "{path} exists already; remove it first if the secret is to be replaced",
    "file_not_created": "cannot create {path}: {error}",
    "file_not_written": "cannot write {path}: {error}",
    "file_missing": "{path} is missing: run `nodeconsole init --home {home}` to create it again",
    # -- members of a message
    "member_wrong": "{member}: {what}",
    "member_missing": "Field required",
    "member_too_long": "String should have at most {most} characters",
    "member_too_short": "String should have at least {least} characters",
    "member_no_text": "Input should be a valid string",
    "member_no_number": "Input should be a valid integer",
    "member_no_flag": "Input should be a valid boolean",
    "member_no_list": "Input should be a valid list",
    "member_no_object": "Input should be a valid dictionary",
    "member_at_least": "Input should be greater than or equal to {least}",
    "member_more_than": "Input should be greater than {least}",
    "member_at_most": "Input should be less than or equal to {most}",
    # -- what the package is installed without
    "extra_install": "{command}",
    "extra_not_in_executable": "the standalone executable does not hold it; the package does, as its extra {extra}:"
    " README, Install",
}
