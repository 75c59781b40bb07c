"""How mails leave the portal."""
