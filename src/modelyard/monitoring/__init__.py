"""What versions answered in service, and how well: tables that grow while they answer, and their reader."""
