"""Other people's programs, as Debian has them: Postfix, swaks, rspamd, SpamAssassin, ClamAV, Chromium.

Where one is missing its tests skip; on CI, which installs them, they fail.
"""
