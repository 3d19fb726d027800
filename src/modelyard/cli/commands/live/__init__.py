"""Commands on recorded answers: report on them, label them, collect their pictures, and remove old ones."""
