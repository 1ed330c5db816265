-- nothing; yet
/* nor /* ; */ here */
